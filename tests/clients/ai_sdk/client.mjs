// The Vercel AI SDK over its OpenAI-compatible provider: text, reasoning, tool calls, objects, and every stream part.

import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { Output, generateText, jsonSchema, streamText, tool } from "ai";
import { z } from "zod";
import { CITY, KEY, tell } from "./telling.mjs";

globalThis.AI_SDK_LOG_WARNINGS = false;
process.on("unhandledRejection", () => {}); // a failed stream rejects promises that nobody asked for

const Person = z.object({ name: z.string(), age: z.number() });
const TOOLS = { get_weather: tool({ description: "Weather.", inputSchema: jsonSchema(CITY) }) };
const OURS = new Set(["headers", "timestamp", "messageId"]); // new with each answer, or documented to differ

const told = (value) =>
  JSON.parse(
    JSON.stringify(value ?? null, (name, inner) => {
      if (OURS.has(name)) return undefined;
      return inner instanceof Error ? { raised: inner.name, says: inner.message } : inner;
    }),
  );

async function parsed(result) {
  const { text, reasoningText, toolCalls, finishReason, rawFinishReason, usage, providerMetadata, sources } = result;
  const members = { text, reasoningText, toolCalls, finishReason, rawFinishReason, usage, providerMetadata, sources };
  const awaited = {};
  for (const [name, value] of Object.entries(members)) awaited[name] = await value;
  return told(awaited);
}

await tell(async (task) => {
  const provider = createOpenAICompatible({
    name: "through",
    baseURL: task.baseURL,
    apiKey: KEY,
    includeUsage: task.counts,
    supportsStructuredOutputs: true,
  });
  const asked = { model: provider(task.model), prompt: task.prompt, maxRetries: 0 };
  if (task.kind === "tools") asked.tools = TOOLS;
  if (task.kind === "schema") asked.output = Output.object({ schema: Person });
  if (!task.streams) {
    const result = await generateText(asked);
    const object = task.kind === "schema" ? told(result.output) : undefined;
    return { parsed: { ...(await parsed(result)), object }, pieces: told(result.response.body) };
  }
  const result = streamText({ ...asked, includeRawChunks: true, onError: () => {} });
  const pieces = [];
  for await (const part of result.fullStream) pieces.push(told(part));
  const failed = pieces.find((part) => part.type === "error");
  if (failed) return { parsed: failed.error.raised ? failed.error : { raised: "part", says: failed.error }, pieces };
  const object = task.kind === "schema" ? told(await result.output) : undefined;
  return { parsed: { ...(await parsed(result)), object }, pieces };
});
