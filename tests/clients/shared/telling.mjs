// How a Node client's script meets the runner: tasks come as JSON on stdin, what the client made of each goes to stdout.
// The twin of telling.py.

import { readFileSync } from "node:fs";

export const KEY = "the-callers-own-key";
export const CITY = { type: "object", properties: { city: { type: "string" } }, required: ["city"] };

/** Asks all tasks, one after the other, and prints `{id: {parsed, pieces?}}`; an error is a result like any other. */
export async function tell(ask) {
  const { base_url: baseURL, model, tasks } = JSON.parse(readFileSync(0, "utf8"));
  const told = {};
  for (const task of tasks) {
    try {
      const streams = task.mode !== "plain";
      told[task.id] = await ask({ ...task, baseURL, model, streams, counts: task.mode === "stream-usage" });
    } catch (error) {
      told[task.id] = { parsed: { raised: error.name, says: String(error.message) } };
    }
  }
  process.stdout.write(JSON.stringify(told));
}
