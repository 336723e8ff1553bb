// The official JavaScript client of OpenRouter, unchanged, against Farebox.
//
// FAREBOX_BASE_URL          where the API is, such as http://127.0.0.1:8080/api/v1
// FAREBOX_API_KEY           a key with credits
// FAREBOX_PROVISIONING_KEY  a provisioning key of the same organization
// FAREBOX_MODEL             the model to call, sandbox/echo if not set
// FAREBOX_NODE_MODULES      the directory that holds `@openrouter/sdk`
//
// Prints a line for each test and ends with 0 if all passed.

import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import path from 'node:path';
import { pathToFileURL } from 'node:url';

const { FAREBOX_BASE_URL, FAREBOX_API_KEY, FAREBOX_PROVISIONING_KEY, FAREBOX_NODE_MODULES } = process.env;
const model = process.env.FAREBOX_MODEL ?? 'sandbox/echo';
// The package has ECMAScript modules only, which do not heed NODE_PATH, so the place is named.
const place = path.resolve(FAREBOX_NODE_MODULES, '@openrouter/sdk/esm/index.js');
const { OpenRouter } = await import(pathToFileURL(place));

// Milliseconds for one request. The sandbox answers at once; a busy machine does not.
const timeoutMs = 30_000;
const messages = [{ role: 'user', content: 'Hello, world' }];
const clientWith = (apiKey) => new OpenRouter({ apiKey, serverURL: FAREBOX_BASE_URL, timeoutMs });
const caller = clientWith(FAREBOX_API_KEY);
const manager = clientWith(FAREBOX_PROVISIONING_KEY);
const send = (by, more) => by.chat.send({ chatRequest: { model, messages, ...more } });

async function refused(status, call) {
  await assert.rejects(call, (error) => {
    assert.equal(error.statusCode, status, `${error.statusCode} instead of ${status}: ${error.message}`);
    return true;
  });
}

const tests = {
  async 'a key is made, read, changed and deleted'() {
    const expiresAt = new Date('2100-01-01T00:00:00Z');
    const made = await manager.apiKeys.create({
      requestBody: { name: 'Worker', limit: 2.5, limitReset: 'monthly', expiresAt },
    });
    assert.ok(made.key.startsWith('sk-'));
    assert.equal(made.data.limit, 2.5);
    assert.equal(made.data.limitReset, 'monthly');
    assert.deepEqual(made.data.expiresAt, expiresAt);
    const { hash } = made.data;
    assert.equal(hash, createHash('sha256').update(made.key).digest('hex'));
    const hashes = async (query) => (await manager.apiKeys.list(query)).data.map((key) => key.hash);
    assert.ok((await hashes()).includes(hash));
    assert.equal((await manager.apiKeys.get({ hash })).data.label, made.data.label);
    const changed = await manager.apiKeys.update({ hash, requestBody: { name: 'Night worker', limit: 4, disabled: true } });
    assert.equal(changed.data.name, 'Night worker');
    assert.equal(changed.data.limit, 4);
    assert.ok(!(await hashes()).includes(hash));
    assert.ok((await hashes({ includeDisabled: true })).includes(hash));
    await refused(403, () => send(clientWith(made.key)));
    assert.equal((await manager.apiKeys.delete({ hash })).deleted, true);
    await refused(404, () => manager.apiKeys.get({ hash }));
    await refused(403, () => caller.apiKeys.list());
  },

  async 'a key knows itself'() {
    const { data } = await caller.apiKeys.getCurrentKeyMetadata();
    assert.ok(data.label && data.usage >= 0);
    assert.equal(data.isManagementKey, false);
    assert.equal((await manager.apiKeys.getCurrentKeyMetadata()).data.isManagementKey, true);
  },

  async 'credits are told'() {
    for (const client of [caller, manager]) {
      const { data } = await client.credits.getCredits();
      assert.ok(data.totalCredits > 0 && data.totalCredits >= data.totalUsage);
    }
  },

  async 'models are listed'() {
    const ids = [];
    for await (const page of await caller.models.list()) ids.push(...page.result.data.map((listed) => listed.id));
    assert.ok(ids.includes(model), ids.join(' '));
  },

  async 'a model answers whole'() {
    const answer = await send(caller);
    assert.ok(answer.choices[0].message.content);
    assert.equal(answer.usage.totalTokens, answer.usage.promptTokens + answer.usage.completionTokens);
  },

  async 'a model answers in parts'() {
    let text = '';
    let usage;
    for await (const event of await send(caller, { stream: true })) {
      for (const choice of event.choices) text += choice.delta.content ?? '';
      usage = event.usage ?? usage;
    }
    assert.ok(text && usage.totalTokens > 0);
  },

  async 'a call tells what it came to'() {
    const appTitle = 'The Tests';
    const answer = await caller.chat.send({ appTitle, chatRequest: { model, messages } });
    const { data } = await caller.generations.getGeneration({ id: answer.id });
    assert.equal(data.id, answer.id);
    assert.equal(data.model, model);
    assert.equal(data.appId, null);
    assert.equal(data.tokensPrompt, answer.usage.promptTokens);
    assert.equal(data.usage, answer.usage.cost);
    assert.equal(data.providerResponses[0].status, 200);
  },

  async 'vectors and ranks come in the shape of their document'() {
    const vectors = await caller.embeddings.generate({ requestBody: { model: 'sandbox/embed', input: ['the cat', 'a dog'] } });
    assert.equal(vectors.data.length, 2);
    assert.ok(vectors.usage.promptTokens > 0 && vectors.usage.cost > 0);
    const documents = ['Berlin', 'Paris is the capital of France'];
    const ranked = await caller.rerank.rerank({
      requestBody: { model: 'sandbox/rerank', query: 'capital of France', documents },
    });
    assert.equal(ranked.results[0].index, 1);
    assert.equal(ranked.results[0].document.text, documents[1]);
    assert.equal(ranked.usage.searchUnits, 1);
  },

  async 'responses come whole and as events'() {
    const whole = await caller.responses.send({ responsesRequest: { model, input: 'Hello, world' } });
    assert.equal(whole.outputText, 'You said: Hello, world');
    assert.ok(whole.usage.totalTokens > 0);
    let text = '';
    let last;
    const events = await caller.responses.send({ responsesRequest: { model, input: 'Hello, world', stream: true } });
    for await (const event of events) {
      if (event.type === 'response.output_text.delta') text += event.delta;
      last = event;
    }
    assert.equal(text, 'You said: Hello, world');
    assert.equal(last.type, 'response.completed');
    assert.ok(last.response.usage.cost > 0);
  },

  async 'endpoints tell how they do'() {
    const [author, slug] = model.split('/');
    const listed = await caller.endpoints.list({ author, slug });
    assert.ok(listed.data.endpoints.length > 0);
    assert.ok((await caller.endpoints.listZdrEndpoints()).data.length > 0);
    let embeddings = 0;
    for await (const page of await caller.embeddings.listModels()) embeddings += page.result.data.length;
    assert.ok(embeddings >= 1);
  },

  async 'members and activity are told'() {
    let members = 0;
    for await (const page of await manager.organization.listMembers()) members += page.result.data.length;
    assert.ok(members >= 1);
    assert.ok(Array.isArray((await manager.analytics.getUserActivity()).data));
  },

  async 'a code becomes a key'() {
    const url = await manager.oAuth.createAuthorizationUrl({ callbackUrl: 'https://app.example/callback', limit: 5 });
    assert.ok(url.startsWith(`${new URL(FAREBOX_BASE_URL).origin}/auth?callback_url=`), url);
    const codeVerifier = randomBytes(32).toString('base64url');
    const codeChallenge = createHash('sha256').update(codeVerifier).digest('base64url');
    const code = await manager.oAuth.createAuthCode({
      requestBody: { callbackUrl: 'https://app.example/callback', codeChallenge, codeChallengeMethod: 'S256', limit: 1 },
    });
    const requestBody = { code: code.data.id, codeVerifier, codeChallengeMethod: 'S256' };
    const made = await manager.oAuth.exchangeAuthCodeForAPIKey({ requestBody });
    assert.ok(made.key.startsWith('sk-') && made.userId);
    assert.ok((await send(clientWith(made.key))).choices.length > 0);
    await refused(403, () => manager.oAuth.exchangeAuthCodeForAPIKey({ requestBody }));
  },
};

let failed = 0;
for (const [name, test] of Object.entries(tests)) {
  try {
    await test();
    console.log(`ok      ${name}`);
  } catch (error) {
    failed += 1;
    console.log(`FAILED  ${name}`);
    console.log(error);
  }
}
console.log(`${Object.keys(tests).length - failed} passed, ${failed} failed`);
process.exit(failed === 0 ? 0 : 1);
