// Follows the list of requests: asks for rows that just ended, laid out by the server, and puts new ones in their place.
// It rests while paused and while nobody looks (a hidden tab).
"use strict";

(() => {
  const EVERY_MS = 2000;
  const SLOWEST_MS = 30000;
  const ROWS_MOST = 200;

  const button = document.getElementById("follow");
  const list = document.getElementById("list");
  const said = document.getElementById("follow-said");
  const body = list.querySelector("tbody");
  let after = button.dataset.after;
  let following = false;
  let timer = 0;
  let wait = EVERY_MS;
  let arrived = 0;

  function say(words) {
    if (said.textContent !== words) said.textContent = words;
  }

  function put(row) {
    const at = Number(row.dataset.at);
    const older = [...body.rows].find((one) => Number(one.dataset.at) < at);
    row.classList.add("fresh");
    body.insertBefore(row, older || null);
  }

  function take(html) {
    const table = new DOMParser().parseFromString(html, "text/html").querySelector("table[data-next]");
    if (!table) throw new Error("no rows");
    after = table.dataset.next;
    const known = new Set([...body.rows].map((row) => row.dataset.id));
    const fresh = [...table.tBodies[0].rows].filter((row) => !known.has(row.dataset.id));
    fresh.forEach((row) => put(document.importNode(row, true)));
    while (body.rows.length > ROWS_MOST) body.rows[body.rows.length - 1].remove();
    arrived += fresh.length;
    if (body.rows.length) {
      list.hidden = false;
      document.getElementById("nothing")?.remove();
    }
    const more = table.dataset.leftOut === "yes" ? ", and more than fit" : "";
    say(arrived ? `${arrived} new${more}` : "Waiting for the next");
  }

  async function ask() {
    timer = 0;
    const [path, query] = button.dataset.tail.split("?");
    const wanted = new URLSearchParams(query);
    wanted.set("after", after);
    try {
      const answer = await fetch(`${path}?${wanted}`, { redirect: "error", cache: "no-store" });
      if (answer.status === 401 || answer.status === 403) {
        turn(false);
        return say("Stopped: sign in again");
      }
      if (!answer.ok) throw new Error(String(answer.status));
      const html = await answer.text();
      if (!following) return;
      take(html);
      wait = EVERY_MS;
    } catch {
      if (!following) return;
      wait = Math.min(wait * 2, SLOWEST_MS);
      say("The gateway does not answer; trying again");
    }
    plan();
  }

  function plan() {
    if (following && !document.hidden && !timer) timer = window.setTimeout(ask, wait);
  }

  function rest() {
    window.clearTimeout(timer);
    timer = 0;
  }

  function turn(on) {
    following = on;
    button.setAttribute("aria-pressed", String(on));
    button.lastElementChild.textContent = on ? "Pause" : "Follow live";
    const here = new URL(window.location.href);
    if (on) here.searchParams.set("live", "1");
    else here.searchParams.delete("live");
    window.history.replaceState(null, "", here);
    rest();
    if (!on) return say(arrived ? `Paused after ${arrived} new` : "");
    wait = EVERY_MS;
    say("Waiting for the next");
    ask();
  }

  button.hidden = false;
  button.addEventListener("click", () => turn(!following));
  document.addEventListener("visibilitychange", () => {
    if (!following) return;
    rest();
    if (!document.hidden) ask();
  });
  if (new URLSearchParams(window.location.search).get("live")) turn(true);
})();
