// A real OpenID provider, run by the browser tests until it is killed. It prints the port that it got, and then reads
// the address where browsers are to come back.
// Whoever signs in there is called as they typed; the address of "unproven..." is not verified.
import { once } from "node:events";
import http from "node:http";
import path from "node:path";
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

const { FAREBOX_NODE_MODULES, OIDC_CLIENT_ID, OIDC_CLIENT_SECRET } = process.env;
const entry = path.resolve(FAREBOX_NODE_MODULES, "oidc-provider", "lib", "index.js");
const { default: Provider } = await import(pathToFileURL(entry).href);

const server = http.createServer();
server.listen(0, "127.0.0.1");
await once(server, "listening");
const { port } = server.address();
console.log(port);
const [callback] = await once(createInterface({ input: process.stdin }), "line");

const provider = new Provider(`http://127.0.0.1:${port}`, {
  clients: [
    {
      client_id: OIDC_CLIENT_ID,
      client_secret: OIDC_CLIENT_SECRET,
      redirect_uris: [callback],
      response_types: ["code"],
      grant_types: ["authorization_code"],
    },
  ],
  claims: { openid: ["sub"], email: ["email", "email_verified"], profile: ["name"] },
  pkce: { required: () => true, methods: ["S256"] },
  cookies: { keys: ["for tests only"] },
  findAccount: (_, id) => ({
    accountId: id,
    claims: () => ({ sub: id, email: id, email_verified: !id.startsWith("unproven"), name: "Ada Elsewhere" }),
  }),
});
server.on("request", provider.callback());
console.log("ready");
