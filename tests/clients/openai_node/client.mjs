// openai-node: completions as parsed, stream chunks one by one, and its own accumulator for streams.

import OpenAI from "openai";
import { zodResponseFormat } from "openai/helpers/zod";
import { z } from "zod";
import { CITY, KEY, tell } from "./telling.mjs";

const Person = z.object({ name: z.string(), age: z.number() });
const TOOL = { type: "function", function: { name: "get_weather", description: "Weather.", parameters: CITY } };

await tell(async (task) => {
  const { completions } = new OpenAI({ baseURL: task.baseURL, apiKey: KEY, maxRetries: 0 }).chat;
  const asked = { model: task.model, messages: [{ role: "user", content: task.prompt }] };
  if (task.kind === "tools") asked.tools = [TOOL];
  if (task.kind === "schema") asked.response_format = zodResponseFormat(Person, "person");
  if (!task.streams) {
    return { parsed: await (task.kind === "schema" ? completions.parse(asked) : completions.create(asked)) };
  }
  if (task.counts) asked.stream_options = { include_usage: true };
  const pieces = [];
  for await (const chunk of await completions.create({ ...asked, stream: true })) pieces.push(chunk);
  const { obfuscation, ...parsed } = await completions.stream(asked).finalChatCompletion(); // random filler
  return { parsed, pieces };
});
