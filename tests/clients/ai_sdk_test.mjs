// The AI SDK with OpenRouter's provider for it, unchanged, against Farebox.
//
// FAREBOX_BASE_URL      where the API is, such as http://127.0.0.1:8080/api/v1
// FAREBOX_API_KEY       a key with credits
// FAREBOX_POOR_KEY      a key of an organization without credits
// FAREBOX_NODE_MODULES  the directory that holds `ai` and `@openrouter/ai-sdk-provider`
//
// Prints a line for each test and ends with 0 if all passed.

import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import path from 'node:path';

const { FAREBOX_BASE_URL, FAREBOX_API_KEY, FAREBOX_POOR_KEY, FAREBOX_NODE_MODULES } = process.env;
const load = createRequire(path.resolve(FAREBOX_NODE_MODULES, 'package.json'));
const { createOpenRouter } = load('@openrouter/ai-sdk-provider');
const { embedMany, generateText, jsonSchema, stepCountIs, streamText, tool } = load('ai');

// Milliseconds for one request. The sandbox answers at once; a busy machine does not.
const timeout = 30_000;
const providerWith = (apiKey) => createOpenRouter({ apiKey, baseURL: FAREBOX_BASE_URL });
const openrouter = providerWith(FAREBOX_API_KEY);
const echo = openrouter.chat('sandbox/echo');
const ask = (more) => ({ maxRetries: 0, abortSignal: AbortSignal.timeout(timeout), ...more });

const tests = {
  async 'it answers and tells the cost'() {
    const answer = await generateText(ask({ model: echo, prompt: 'Hello, world' }));
    assert.equal(answer.text, 'You said: Hello, world');
    assert.equal(answer.finishReason, 'stop');
    assert.ok(answer.usage.inputTokens > 0 && answer.usage.outputTokens > 0);
    const { usage } = answer.providerMetadata.openrouter;
    assert.ok(usage.cost > 0, JSON.stringify(usage));
  },
  async 'it streams'() {
    const stream = streamText(ask({ model: echo, prompt: 'Hello, world' }));
    let text = '';
    for await (const part of stream.textStream) text += part;
    assert.equal(text, 'You said: Hello, world');
    assert.ok((await stream.usage).totalTokens > 0);
    assert.ok((await stream.providerMetadata).openrouter.usage.cost > 0);
  },
  async 'it calls a tool and goes on'() {
    const weather = tool({
      description: 'The weather.',
      inputSchema: jsonSchema({ type: 'object', properties: {} }),
      execute: async () => 'Sunny.',
    });
    const answer = await generateText(
      ask({ model: echo, prompt: 'call:weather', tools: { weather }, stopWhen: stepCountIs(1) }),
    );
    assert.equal(answer.toolCalls[0].toolName, 'weather');
    assert.equal(answer.toolResults[0].output, 'Sunny.');
  },
  async 'it completes a text'() {
    const answer = await generateText(ask({ model: openrouter.completion('sandbox/echo'), prompt: 'Once' }));
    assert.ok(answer.text.startsWith('You said:'), answer.text);
  },
  async 'it makes vectors'() {
    const { embeddings, usage } = await embedMany(
      ask({ model: openrouter.textEmbeddingModel('sandbox/embed'), values: ['the cat', 'a dog'] }),
    );
    assert.equal(embeddings.length, 2);
    assert.equal(embeddings[0].length, 256);
    assert.ok(usage.tokens > 0);
  },
  async 'it hears of missing credits'() {
    const poor = providerWith(FAREBOX_POOR_KEY).chat('sandbox/echo');
    await assert.rejects(generateText(ask({ model: poor, prompt: 'Hello' })), (error) => {
      assert.equal(error.statusCode, 402, String(error));
      assert.match(error.message, /Insufficient credits/);
      return true;
    });
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
