// The official `openai` client for JavaScript against a running Patchbay: PATCHBAY_URL names it.
import assert from "node:assert/strict";
import { test } from "node:test";
import OpenAI from "openai";

const client = new OpenAI({ baseURL: `${process.env.PATCHBAY_URL}/v1`, apiKey: "unused", maxRetries: 0, timeout: 60_000 });
const TICKET = "My invoice 4411 is wrong, I was charged twice";
const messages = [{ role: "user", content: TICKET }];
const greedy = { model: "label", messages, temperature: 0, max_tokens: 32 };

test("models are listed and retrieved", async () => {
  const ids = [];
  for await (const model of client.models.list()) ids.push(model.id);
  assert.ok(ids.includes("demo-base") && ids.includes("sql@1"));
  assert.equal((await client.models.retrieve("sql@1")).id, "sql@1");
});

test("a chat's whole answer and its stream say the same, and the stream ends with its usage", async () => {
  const whole = await client.chat.completions.create(greedy);
  const stream = await client.chat.completions.create({ ...greedy, stream: true, stream_options: { include_usage: true } });
  let text = "", usage = null, finishes = [];
  for await (const chunk of stream) {
    text += chunk.choices[0]?.delta?.content ?? "";
    if (chunk.choices[0]?.finish_reason) finishes.push(chunk.choices[0].finish_reason);
    usage = chunk.usage ?? usage;
  }
  assert.equal(text, whole.choices[0].message.content);
  assert.deepEqual(finishes, ["stop"]);
  assert.deepEqual([usage.prompt_tokens, usage.completion_tokens], [whole.usage.prompt_tokens, whole.usage.completion_tokens]);
});

test("the stream helper gathers the final completion", async () => {
  const runner = client.chat.completions.stream(greedy);
  const final = await runner.finalChatCompletion();
  assert.equal(final.choices[0].finish_reason, "stop");
});

test("completions, with several choices and log probabilities", async () => {
  const done = await client.completions.create({ model: "demo-base", prompt: "Hello", max_tokens: 4, n: 2, seed: 1, logprobs: 1 });
  assert.equal(done.choices.length, 2);
  assert.equal(done.choices[0].logprobs.tokens.length, done.choices[0].logprobs.token_logprobs.length);
});

test("responses, streamed and not", async () => {
  const options = { model: "label", input: TICKET, temperature: 0, max_output_tokens: 32 };
  const whole = await client.responses.create(options);
  let text = "";
  for await (const event of await client.responses.create({ ...options, stream: true })) {
    if (event.type === "response.output_text.delta") text += event.delta;
  }
  assert.equal(text, whole.output_text);
});

test("a tool that is required is called with arguments of its schema", async () => {
  const parameters = { type: "object", properties: { urgent: { type: "boolean" } }, required: ["urgent"], additionalProperties: false };
  const tools = [{ type: "function", function: { name: "file_ticket", strict: true, parameters } }];
  const done = await client.chat.completions.create({
    model: "json", messages, tools, tool_choice: "required", temperature: 0, max_tokens: 80, frequency_penalty: 2,
  });
  const call = done.choices[0].message.tool_calls[0];
  assert.equal(call.function.name, "file_ticket");
  assert.equal(typeof JSON.parse(call.function.arguments).urgent, "boolean");
});

test("a JSON schema is kept to", async () => {
  const schema = { type: "object", properties: { ok: { type: "boolean" } }, required: ["ok"], additionalProperties: false };
  const done = await client.chat.completions.create({
    ...greedy, model: "demo-base", max_tokens: 64,
    response_format: { type: "json_schema", json_schema: { name: "verdict", schema, strict: true } },
  });
  assert.equal(typeof JSON.parse(done.choices[0].message.content).ok, "boolean");
});

test("a conversation of several turns is taken, and a stop word ends the answer", async () => {
  const turns = [
    { role: "system", content: "You work at a support desk." }, { role: "user", content: "Hello" },
    { role: "assistant", content: "Hello, how can I help?" }, ...messages,
  ];
  const done = await client.chat.completions.create({ model: "demo-base", messages: turns, max_tokens: 4 });
  assert.ok(done.usage.prompt_tokens > 20);
  const text = (await client.chat.completions.create(greedy)).choices[0].message.content;
  const cut = await client.chat.completions.create({ ...greedy, stop: [text.slice(3, 5)] });
  assert.ok(!cut.choices[0].message.content.includes(text.slice(3, 5)));
});

test("errors are the client's own classes, with OpenAI's codes", async () => {
  await assert.rejects(client.chat.completions.create({ ...greedy, model: "nope" }), (error) => {
    assert.ok(error instanceof OpenAI.NotFoundError);
    assert.equal(error.code, "model_not_found");
    assert.ok(error.requestID);
    return true;
  });
  await assert.rejects(client.chat.completions.create({ ...greedy, temperature: "hot" }), OpenAI.BadRequestError);
});

test("a time-out and a cancel end the call", async () => {
  const long = { model: "demo-base", messages, max_tokens: 1500, ignore_eos: true };
  await assert.rejects(client.chat.completions.create(long, { timeout: 300 }), OpenAI.APIConnectionTimeoutError);
  const stream = await client.chat.completions.create({ ...long, stream: true });
  let seen = 0;
  for await (const _ of stream) if (++seen === 3) stream.controller.abort();
  assert.equal(seen, 3);
});

test("what an answer came from is told", async () => {
  const { response } = await client.chat.completions.create(greedy).withResponse();
  for (const name of ["x-request-id", "x-patchbay-route", "x-patchbay-arm", "x-patchbay-adapter", "x-patchbay-digest", "x-patchbay-replica", "traceparent"]) {
    assert.ok(response.headers.get(name), name);
  }
});
