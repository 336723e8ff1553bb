// The official JavaScript client of OpenAI, unchanged, against Farebox.
//
// FAREBOX_BASE_URL   where the API is, such as http://127.0.0.1:8080/api/v1
// FAREBOX_API_KEY    a key with credits
// FAREBOX_POOR_KEY   a key of an organization without credits
// FAREBOX_MODEL      the model to call, sandbox/echo if not set
// FAREBOX_NODE_MODULES  the directory that holds `openai`, if it is not found from here
//
// Prints a line for each test and ends with 0 if all passed.

import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import path from 'node:path';
import { pathToFileURL } from 'node:url';

const { FAREBOX_BASE_URL, FAREBOX_API_KEY, FAREBOX_POOR_KEY, FAREBOX_NODE_MODULES } = process.env;
const model = process.env.FAREBOX_MODEL ?? 'sandbox/echo';

// ECMAScript modules do not heed NODE_PATH, so the place can be named.
const from = FAREBOX_NODE_MODULES
  ? createRequire(pathToFileURL(path.resolve(FAREBOX_NODE_MODULES, '..', 'here.js')))
  : createRequire(import.meta.url);
const OpenAI = from('openai');

// Milliseconds for one request. The sandbox answers at once; a busy machine does not.
const timeout = 30_000;
// One retry, so that the client's own handling of retries is part of the test.
const maxRetries = 1;

const hello = [{ role: 'user', content: 'Hello, world' }];
const callForWeather = [{ role: 'user', content: 'call:get_weather' }];
const tools = [
  {
    type: 'function',
    function: {
      name: 'get_weather',
      description: 'The weather in a city.',
      parameters: { type: 'object', properties: { city: { type: 'string' } } },
    },
  },
];

const clientWith = (apiKey) => new OpenAI({ baseURL: FAREBOX_BASE_URL, apiKey, timeout, maxRetries });
const client = clientWith(FAREBOX_API_KEY);
const create = (fields, by = client) => by.chat.completions.create({ model, messages: hello, ...fields });

function checkUsage(usage) {
  assert.ok(usage.prompt_tokens > 0 && usage.completion_tokens > 0);
  assert.equal(usage.total_tokens, usage.prompt_tokens + usage.completion_tokens);
  assert.equal(typeof usage.cost, 'number', 'usage carries the cost');
  assert.ok(usage.cost >= 0);
}

async function expectError(kind, status, promise) {
  const caught = await promise.then(
    () => assert.fail(`${kind.name} was not thrown`),
    (error) => error,
  );
  assert.ok(caught instanceof kind, `${caught?.constructor?.name}: ${caught?.message}`);
  assert.equal(caught.status, status);
  // The client unpacks `error` from the body.
  assert.equal(caught.error.code, status);
  assert.ok(caught.error.message);
}

const tests = {
  async 'lists models'() {
    const models = [];
    for await (const entry of client.models.list()) models.push(entry);
    assert.ok(models.some((entry) => entry.id === model), 'the model is listed');
    assert.ok(models.every((entry) => entry.created > 0 && entry.object === 'model'));
  },

  async chats() {
    const answer = await create({ max_tokens: 64 });
    assert.equal(answer.object, 'chat.completion');
    assert.equal(answer.choices[0].message.role, 'assistant');
    assert.ok(answer.choices[0].message.content, 'there is an answer');
    assert.ok(!('tool_calls' in answer.choices[0].message));
    assert.equal(answer.choices[0].finish_reason, 'stop');
    checkUsage(answer.usage);
  },

  async streams() {
    const stream = await create({ max_tokens: 64, stream: true, stream_options: { include_usage: true } });
    let text = '';
    let usage;
    let finish;
    const ids = new Set();
    for await (const chunk of stream) {
      assert.equal(chunk.object, 'chat.completion.chunk');
      ids.add(chunk.id);
      usage = chunk.usage ?? usage;
      for (const choice of chunk.choices) {
        text += choice.delta.content ?? '';
        finish = choice.finish_reason ?? finish;
      }
    }
    assert.ok(text);
    assert.equal(finish, 'stop');
    assert.equal(ids.size, 1, 'all chunks carry one id');
    assert.ok(usage, 'the last chunk carries the usage');
    checkUsage(usage);
  },

  async 'streams usage without being asked'() {
    const told = [];
    for await (const chunk of await create({ stream: true })) if (chunk.usage) told.push(chunk.usage);
    assert.equal(told.length, 1);
    checkUsage(told[0]);
  },

  async 'says the same streamed or not'() {
    const whole = await create({ max_tokens: 64 });
    const stream = client.chat.completions.stream({ model, messages: hello, max_tokens: 64 });
    const final = await stream.finalChatCompletion();
    assert.equal(final.choices[0].message.content, whole.choices[0].message.content);
  },

  async 'calls tools'() {
    const answer = await create({ messages: callForWeather, tools });
    assert.equal(answer.choices[0].finish_reason, 'tool_calls');
    const said = answer.choices[0].message;
    const [call] = said.tool_calls;
    assert.equal(call.type, 'function');
    assert.equal(call.function.name, 'get_weather');
    assert.equal(call.function.arguments, '{}');
    const result = { role: 'tool', tool_call_id: call.id, content: 'Sunny.' };
    const after = await create({ messages: [...callForWeather, said, result], tools });
    assert.equal(after.choices[0].message.role, 'assistant');
  },

  async 'streams tool calls'() {
    const stream = client.chat.completions.stream({ model, messages: callForWeather, tools });
    const final = await stream.finalChatCompletion();
    assert.equal(final.choices[0].finish_reason, 'tool_calls');
    const [call] = final.choices[0].message.tool_calls;
    assert.equal(call.function.name, 'get_weather');
    assert.equal(call.function.arguments, '{}');
  },

  async 'lets a reader leave a stream'() {
    const stream = await create({ stream: true });
    for await (const chunk of stream) {
      assert.ok(chunk.id);
      break;
    }
    await create({ max_tokens: 8 });
  },

  async 'refuses a wrong key'() {
    for (const wrong of ['sk-wrong', `sk-fb-v1-${'0'.repeat(70)}`]) {
      await expectError(OpenAI.AuthenticationError, 401, create({}, clientWith(wrong)));
    }
  },

  async 'knows no unknown model'() {
    await expectError(OpenAI.NotFoundError, 404, create({ model: 'nobody/nothing' }));
  },

  async 'says so before a stream too'() {
    await expectError(OpenAI.NotFoundError, 404, create({ model: 'nobody/nothing', stream: true }));
  },

  async 'refuses without credits'() {
    await expectError(OpenAI.APIError, 402, create({}, clientWith(FAREBOX_POOR_KEY)));
  },

  async 'refuses a malformed body'() {
    await expectError(OpenAI.BadRequestError, 400, create({ messages: 'no list' }));
  },
};

let failed = 0;
for (const [name, test] of Object.entries(tests)) {
  try {
    await test();
    console.log(`ok      ${name}`);
  } catch (error) {
    failed += 1;
    console.log(`FAILED  ${name}\n${error.stack}`);
  }
}
console.log(`${Object.keys(tests).length - failed} passed, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;
