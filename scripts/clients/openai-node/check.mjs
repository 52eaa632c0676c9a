// openai's SDK for Node on the demo, Azure's client too.
import OpenAI, { AzureOpenAI } from "openai";
import * as demo from "./checks.mjs";
import { check, holds, refused, same, user } from "./checks.mjs";

const client = new OpenAI({ baseURL: demo.V1, apiKey: demo.KEY });
const azure = new AzureOpenAI({ endpoint: demo.URL, apiKey: demo.KEY, apiVersion: "2024-10-21" });
const asked = { model: "sql", messages: user(demo.QUESTION), temperature: 0 };
const schema = (properties) => ({ type: "object", properties, required: Object.keys(properties), additionalProperties: false });
const parameters = schema({ urgent: { type: "boolean" } });
const called = {
  model: "json",
  messages: user(demo.TICKET),
  temperature: 0,
  max_tokens: 80,
  tools: [{ type: "function", function: { name: "file_ticket", strict: true, parameters } }],
  tool_choice: { type: "function", function: { name: "file_ticket" } },
};

async function text(stream) {
  let found = "";
  for await (const chunk of stream) found += chunk.choices[0]?.delta?.content ?? "";
  return found;
}

function call(done) {
  const made = done.choices[0].message.tool_calls[0].function;
  holds(typeof JSON.parse(made.arguments).urgent === "boolean", made.arguments);
  return `${made.name}(${made.arguments})`;
}

check("models", async () => {
  const ids = [];
  for await (const model of client.models.list()) ids.push(model.id);
  holds(["sql", "json", "label"].every((name) => ids.includes(name)), ids);
  return same((await client.models.retrieve("sql")).id, "sql");
});

check("chat", async () => same((await client.chat.completions.create(asked)).choices[0].message.content, demo.SQL));

check("chat, streamed", async () => same(await text(await client.chat.completions.create({ ...asked, stream: true })), demo.SQL));

check("completions", async () => {
  const done = await client.completions.create({ model: "demo-base", prompt: "Hello", max_tokens: 8, temperature: 0 });
  return holds(done.choices[0].text, done.choices[0].text);
});

check("responses", async () => {
  const done = await client.responses.create({ model: "label", input: demo.SHIPPED, temperature: 0 });
  return same(done.output_text, demo.LABEL);
});

check("responses, streamed", async () => {
  const stream = client.responses.stream({ model: "label", input: demo.SHIPPED, temperature: 0 });
  return same((await stream.finalResponse()).output_text, demo.LABEL);
});

check("tools", async () => call(await client.chat.completions.create(called)));

check("tools, streamed", async () => call(await client.chat.completions.stream(called).finalChatCompletion()));

check("JSON schema", async () => {
  const fields = schema(Object.fromEntries(Object.keys(demo.FIELDS).map((name) => [name, { type: "string" }])));
  const format = { type: "json_schema", json_schema: { name: "ticket", strict: true, schema: fields } };
  const done = await client.chat.completions.parse({
    model: "json", messages: user(demo.TICKET), temperature: 0, max_tokens: 128, response_format: format,
  });
  return demo.filled(done.choices[0].message.parsed);
});

check("embeddings are refused", () =>
  refused((error) => error instanceof OpenAI.BadRequestError, () => client.embeddings.create({ model: "demo-base", input: "Hello" })));

const isUnknown = (error) => error instanceof OpenAI.NotFoundError;
check("an unknown model", () =>
  refused(isUnknown, () => client.chat.completions.create({ ...asked, model: demo.NOWHERE }), demo.NOWHERE));

check("Azure's client", async () => same((await azure.chat.completions.create(asked)).choices[0].message.content, demo.SQL));

check("Azure's client, streamed", async () =>
  same(await text(await azure.chat.completions.create({ ...asked, stream: true })), demo.SQL));

if (demo.KEYED) {
  const stranger = new OpenAI({ baseURL: demo.V1, apiKey: demo.WRONG_KEY });
  check("a wrong key", () =>
    refused((error) => error instanceof OpenAI.AuthenticationError, () => stranger.chat.completions.create(asked)));
}

await demo.run("openai");
