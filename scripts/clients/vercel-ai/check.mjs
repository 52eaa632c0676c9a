// Vercel's AI SDK, by its provider of OpenAI-compatible servers, on the demo.
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { APICallError, generateText, Output, streamText, tool } from "ai";
import { z } from "zod";
import * as demo from "./checks.mjs";
import { check, holds, refused, same } from "./checks.mjs";

const provider = (apiKey) =>
  createOpenAICompatible({ name: "patchbay", baseURL: demo.V1, apiKey, includeUsage: true, supportsStructuredOutputs: true });
const patchbay = provider(demo.KEY);
const asked = { model: patchbay("sql"), prompt: demo.QUESTION, temperature: 0 };
const ticket = z.object({ customer: z.string(), product: z.string(), order: z.string(), priority: z.string() });
const file_ticket = tool({ description: "Files a ticket", inputSchema: z.object({ urgent: z.boolean() }), strict: true });
const called = {
  model: patchbay("json"), prompt: demo.TICKET, temperature: 0, maxOutputTokens: 80,
  tools: { file_ticket }, toolChoice: { type: "tool", toolName: "file_ticket" },
};

function call([made]) {
  holds(typeof made?.input?.urgent === "boolean", JSON.stringify(made));
  return `${made.toolName}(${JSON.stringify(made.input)})`;
}

check("generateText", async () => {
  const done = await generateText(asked);
  holds(done.usage.outputTokens > 1, JSON.stringify(done.usage));
  return same(done.text, demo.SQL);
});

check("streamText", async () => {
  const done = streamText(asked);
  let text = "", parts = 0;
  for await (const part of done.textStream) [text, parts] = [text + part, parts + 1];
  holds((await done.usage).outputTokens > 1, JSON.stringify(await done.usage));
  same(text, demo.SQL);
  return `${text} (${parts} parts)`;
});

check("an object by schema", async () => {
  const done = await generateText({
    model: patchbay("json"), prompt: demo.TICKET, temperature: 0, maxOutputTokens: 128, output: Output.object({ schema: ticket }),
  });
  return demo.filled(done.output);
});

check("an object, streamed", async () => {
  const done = streamText({
    model: patchbay("json"), prompt: demo.TICKET, temperature: 0, maxOutputTokens: 128, output: Output.object({ schema: ticket }),
  });
  let last;
  for await (const part of done.partialOutputStream) last = part;
  return demo.filled(last);
});

check("tools", async () => call((await generateText(called)).toolCalls));

check("tools, streamed", async () => call(await streamText(called).toolCalls));

check("completions", async () => {
  const done = await generateText({ model: patchbay.completionModel("demo-base"), prompt: "Hello", maxOutputTokens: 8 });
  return holds(done.text, done.text);
});

check("an unknown model", () =>
  refused((error) => APICallError.isInstance(error) && error.statusCode === 404,
    () => generateText({ ...asked, model: patchbay(demo.NOWHERE) }), demo.NOWHERE));

if (demo.KEYED) {
  check("a wrong key", () =>
    refused((error) => APICallError.isInstance(error) && error.statusCode === 401,
      () => generateText({ ...asked, model: provider(demo.WRONG_KEY)("sql") })));
}

await demo.run("ai", "@ai-sdk/openai-compatible");
