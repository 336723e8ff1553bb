// One call: the question to the server, and its answer as it comes.
const WAITS_MS = [500, 1_000, 2_000, 4_000, 8_000, 15_000, 30_000, 60_000];

export class Refused extends Error {
  constructor({ message, action, call }) {
    super(message);
    this.action = action;
    this.call = call;
  }
}

const BROKEN = "The connection ended in the middle of the answer. What came until then is kept.";
const AWAY = "The server cannot be reached, so this was not sent. Check the connection, then try again.";

function* events(buffer) {
  for (const part of buffer) {
    const data = part.split("\n").filter((line) => line.startsWith("data:")).map((line) => line.slice(5).trim()).join("\n");
    if (data) yield data;
  }
}

// Asks, and tells of each piece: `told` gets `{call}`, then `{text, reasoning, model, provider, cost, tokens}` as they come.
// Throws `Refused`, or an AbortError when it was stopped. Nothing is thrown for an answer that is whole.
export async function ask(body, token, signal, told) {
  let answer;
  try {
    answer = await fetch("/chat/completions", {
      method: "POST",
      headers: { "content-type": "application/json", "x-csrf-token": token },
      body: JSON.stringify(body),
      signal,
      redirect: "manual",
    });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refused({ message: AWAY });
  }
  const call = answer.headers.get("x-generation-id") ?? undefined;
  if (call) told({ call });
  if (!answer.ok) throw await refusal(answer, call);
  await read(answer.body.getReader(), told);
}

async function refusal(answer, call) {
  try {
    const { error } = await answer.json();
    return new Refused({ call, ...error });
  } catch {
    return new Refused({ call, message: "The server did not understand this, so it was not sent. Reload the page and try again." });
  }
}

async function read(reader, told) {
  const decoder = new TextDecoder();
  let rest = "";
  let ended = false;
  for (;;) {
    let piece;
    try {
      piece = await reader.read();
    } catch (error) {
      if (error.name === "AbortError") throw error;
      throw new Refused({ message: BROKEN });
    }
    if (piece.done) break;
    rest += decoder.decode(piece.value, { stream: true });
    const parts = rest.replaceAll("\r\n", "\n").split("\n\n");
    rest = parts.pop();
    for (const data of events(parts)) {
      if (data === "[DONE]") ended = true;
      else take(JSON.parse(data), told);
    }
  }
  if (!ended) throw new Refused({ message: BROKEN });
}

function take(chunk, told) {
  const { usage } = chunk;
  const delta = chunk.choices?.[0]?.delta ?? {};
  told({
    text: typeof delta.content === "string" ? delta.content : "",
    reasoning: typeof delta.reasoning === "string" ? delta.reasoning : "",
    model: chunk.model,
    provider: chunk.provider,
    cost: usage?.cost,
    tokens: usage ? { in: usage.prompt_tokens, out: usage.completion_tokens } : undefined,
    finish: chunk.choices?.[0]?.finish_reason ?? undefined,
  });
  if (chunk.error) {
    const who = chunk.provider || "The provider";
    throw new Refused({ message: `${who} stopped in the middle of the answer. What came until then is kept.` });
  }
}

// What a call came to, and what is left. One that was stopped is settled a moment later; `undefined` if that takes longer
// than somebody waits.
export async function settled(call) {
  for (const wait of WAITS_MS) {
    try {
      const answer = await fetch(`/chat/calls/${encodeURIComponent(call)}`, { redirect: "manual" });
      if (answer.ok) {
        const found = await answer.json();
        if (!found.running) return found;
      } else if (answer.status !== 503) {
        return undefined;
      }
    } catch {
      // Away for a moment, perhaps.
    }
    await new Promise((resolve) => setTimeout(resolve, wait));
  }
  return undefined;
}
