// Forms that ask a passkey: `data-passkey="get"` or `"create"`. They stay hidden where the browser knows no passkeys.
const known = window.isSecureContext && window.PublicKeyCredential !== undefined && navigator.credentials !== undefined;

const toBytes = (text) => Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (c) => c.charCodeAt(0));
const toText = (buffer) =>
  btoa(String.fromCharCode(...new Uint8Array(buffer)))
    .replaceAll("+", "-")
    .replaceAll("/", "_")
    .replaceAll("=", "");

// The options hold bytes as text, and the browser wants bytes.
function parsed(options) {
  const list = (entries) => entries?.map((entry) => ({ ...entry, id: toBytes(entry.id) }));
  const out = { ...options, challenge: toBytes(options.challenge) };
  if (options.user) out.user = { ...options.user, id: toBytes(options.user.id) };
  if (options.allowCredentials) out.allowCredentials = list(options.allowCredentials);
  if (options.excludeCredentials) out.excludeCredentials = list(options.excludeCredentials);
  return out;
}

function written(credential) {
  const { response } = credential;
  const out = {
    id: credential.id,
    rawId: toText(credential.rawId),
    type: credential.type,
    extensions: {},
    response: { clientDataJSON: toText(response.clientDataJSON) },
  };
  if (response.attestationObject) {
    out.response.attestationObject = toText(response.attestationObject);
    out.response.transports = response.getTransports?.() ?? [];
  } else {
    out.response.authenticatorData = toText(response.authenticatorData);
    out.response.signature = toText(response.signature);
    out.response.userHandle = response.userHandle ? toText(response.userHandle) : null;
  }
  return JSON.stringify(out);
}

// What went wrong, in words of ours.
function told(error) {
  if (error.name === "InvalidStateError") return "This device has a passkey of your account already.";
  if (error.name === "NotAllowedError" || error.name === "AbortError") return "Nothing was chosen, or it took too long. Try again.";
  return "That did not work. Try again, or use another way.";
}

async function ask(form) {
  const start = `${form.getAttribute("action")}/start`;
  const body = new URLSearchParams({ csrf_token: form.elements.csrf_token.value });
  const answer = await fetch(start, { method: "POST", body, headers: { accept: "application/json" } });
  if (answer.redirected) {
    // Who one is must be shown again first.
    location.assign(answer.url);
    return false;
  }
  if (answer.status === 429) throw new DOMException("", "TooMany");
  if (!answer.ok) throw new Error(`the server answered ${answer.status}`);
  const { challenge, options } = await answer.json();
  const publicKey = parsed(options);
  const credential =
    form.dataset.passkey === "create" ? await navigator.credentials.create({ publicKey }) : await navigator.credentials.get({ publicKey });
  form.elements.challenge.value = challenge;
  form.elements.credential.value = written(credential);
  return true;
}

for (const form of known ? document.querySelectorAll("form[data-passkey]") : []) {
  form.hidden = false;
  for (const note of document.querySelectorAll("[data-passkey-without]")) note.hidden = true;
  const place = form.querySelector("[data-passkey-error]");
  const button = form.querySelector("[type=submit]");
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (button.disabled) return;
    button.disabled = true;
    place.hidden = true;
    try {
      if (await ask(form)) form.submit();
    } catch (error) {
      place.querySelector("span").textContent = error.name === "TooMany" ? "Too many tries. Wait a quarter of an hour." : told(error);
      place.hidden = false;
      button.disabled = false;
    }
  });
}
