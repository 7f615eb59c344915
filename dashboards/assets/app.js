// What the pages do by themselves: load drawings, follow the live feed, acknowledge alarms, work on cases.
// No dependency, no inline script; without it the pages still show everything but drawings and news.

const body = document.body.dataset;

// Drawings: fetched when they come into view, and put into the page so that links and titles work.
async function draw(element) {
  const width = Math.max(300, Math.floor(element.clientWidth));
  const url = `${element.dataset.svg}&width=${width}`;
  try {
    const answer = await fetch(url);
    if (!answer.ok) throw new Error(String(answer.status));
    const parsed = new DOMParser().parseFromString(await answer.text(), "image/svg+xml");
    if (parsed.documentElement.nodeName !== "svg") throw new Error("no drawing");
    element.replaceChildren(document.importNode(parsed.documentElement, true));
    element.dataset.drawn = "true";
  } catch (error) {
    if (!element.dataset.drawn) element.textContent = `${body.failed}: ${error.message}`;
  }
}
const seen = new IntersectionObserver((entries) => {
  for (const entry of entries) {
    if (!entry.isIntersecting) continue;
    seen.unobserve(entry.target);
    draw(entry.target);
  }
}, { rootMargin: "200px" });
document.querySelectorAll("[data-svg]").forEach((element) => seen.observe(element));

// Fragments: parts of a page fetched anew when something changed. Rows keep their identity, so that
// nobody loses what they are typing.
async function refresh(element) {
  const url = new URL(element.dataset.fragment, location.href);
  url.searchParams.set("lang", body.lang);
  const answer = await fetch(url);
  if (!answer.ok) return;
  const fresh = document.createElement("div");
  fresh.append(...new DOMParser().parseFromString(await answer.text(), "text/html").body.childNodes);
  if (keepTyping(element, fresh)) return;
  const oldList = element.querySelector("ul.alarms");
  const newList = fresh.querySelector("ul.alarms");
  if (!oldList || !newList || !oldList.querySelector("details[open]")) {
    const top = element.scrollTop;
    element.replaceChildren(...fresh.childNodes);
    element.scrollTop = top;
    return;
  }
  const wanted = new Map([...newList.children].map((row) => [row.dataset.id, row]));
  for (const row of [...oldList.children]) if (!wanted.has(row.dataset.id)) row.remove();
  const kept = new Map([...oldList.children].map((row) => [row.dataset.id, row]));
  let cursor = oldList.firstElementChild;
  for (const [id, row] of wanted) {
    const old = kept.get(id);
    const typing = old && old.querySelector("details[open]");
    const same = old && old.querySelectorAll("details").length === row.querySelectorAll("details").length;
    if (typing && same) {
      old.className = row.className;
      old.querySelector(".what").replaceWith(row.querySelector(".what"));
    }
    const shown = typing && same ? old : row;
    if (cursor === old && old) cursor = cursor.nextElementSibling;
    if (shown !== old) {
      if (old) old.replaceWith(shown);
      else oldList.insertBefore(shown, cursor);
    }
  }
}

// Where somebody is typing in a part of the page, that part stays where it is, and what is around it is put in anew.
function keepTyping(element, fresh) {
  const typing = [...element.children].find((part) => part.dataset.part && part.querySelector("details[open]"));
  if (!typing) return false;
  const twin = fresh.querySelector(`:scope > [data-part="${typing.dataset.part}"]`);
  const parts = [...fresh.children];
  const place = twin ? parts.indexOf(twin) : parts.length;
  while (typing.previousSibling) typing.previousSibling.remove();
  while (typing.nextSibling) typing.nextSibling.remove();
  typing.before(...parts.slice(0, place));
  typing.after(...parts.slice(place + (twin ? 1 : 0)));
  return true;
}

document.addEventListener("toggle", (event) => {
  if (!event.target.open && event.target.closest("[data-part]")) refreshCases();
}, true);

// The same work asked for often is done at most every `gap` ms, and once more at the end.
function calm(gap, work) {
  let timer = null;
  let again = false;
  return () => {
    if (timer) { again = true; return; }
    work();
    timer = setTimeout(() => { timer = null; if (again) { again = false; work(); } }, gap);
  };
}
const on = (name, work) => [...document.querySelectorAll(`[data-on="${name}"]`)].map(work);
const refreshAlarms = calm(700, () => on("alarm", refresh));
const refreshMap = calm(2500, () => on("site", draw));
const refreshCases = calm(700, () => on("case", refresh));
const refreshFigures = calm(2000, () => on("figures", refresh));
const refreshAll = () => [refreshAlarms, refreshCases, refreshMap, refreshFigures].forEach((renew) => renew());
document.querySelectorAll("[data-every]").forEach((element) => {
  setInterval(() => { if (!document.hidden) refresh(element); }, Number(element.dataset.every) * 1000);
});

// The live feed.
const connection = document.getElementById("connection");
function connected(state) {
  if (!connection || connection.dataset.state === state) return;
  connection.dataset.state = state;
  connection.textContent = { live: body.live, lost: body.lost, connecting: body.connecting }[state];
}
const clock = document.getElementById("clock");
const format = new Intl.DateTimeFormat("sv-SE", { timeZone: body.zone, dateStyle: "short", timeStyle: "medium" });
const text = (id, value) => { const element = document.getElementById(id); if (element) element.textContent = value; };
if (connection) {
  const feed = new EventSource("/api/v1/live");
  let lost = false;
  feed.addEventListener("hello", () => {
    connected("live");
    if (lost) { lost = false; refreshAll(); }
  });
  feed.addEventListener("error", () => { lost = true; connected("lost"); });
  feed.addEventListener("alarm", () => refreshAlarms());
  feed.addEventListener("case", () => refreshCases());
  feed.addEventListener("site", () => { refreshMap(); });
  feed.addEventListener("figures", () => refreshFigures());
  feed.addEventListener("resync", () => refreshAll());
  feed.addEventListener("stats", (event) => {
    const stats = JSON.parse(event.data);
    text("open-count", stats.open_alarms);
    text("unack-count", stats.unacknowledged);
    text("rate", stats.messages_per_s);
    if (clock) clock.textContent = format.format(new Date(stats.now.ms));
  });
  addEventListener("pagehide", () => feed.close());
}

// Acknowledging: JSON to the API, then the list again. The name is remembered in this browser.
document.addEventListener("toggle", (event) => {
  const name = event.target.open && event.target.querySelector?.("input[name=by]");
  if (name && !name.value) name.value = localStorage.getItem("townwatch-name") ?? "";
}, true);
document.addEventListener("submit", async (event) => {
  const id = event.target.dataset.ack;
  if (!id) return;
  event.preventDefault();
  const data = new FormData(event.target);
  const error = event.target.querySelector(".error");
  error.textContent = "";
  try {
    const answer = await fetch(`/api/v1/alarms/${id}/ack`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ by: data.get("by"), remark: data.get("remark") }),
    });
    if (!answer.ok) {
      const problem = await answer.json();
      throw new Error(`${problem.detail}; ${problem.remedy}`);
    }
    localStorage.setItem("townwatch-name", data.get("by"));
    event.target.closest("details").open = false;
    refreshAlarms();
  } catch (problem) {
    error.textContent = `${body.ackFailed}: ${problem.message}`;
  }
});

// What else is done to an alarm or a device: reset, shelve, test, maintenance.
document.addEventListener("submit", async (event) => {
  const { act, done } = event.target.dataset;
  if (!act) return;
  event.preventDefault();
  const fields = Object.fromEntries(new FormData(event.target));
  const error = event.target.querySelector(".error");
  error.textContent = "";
  try {
    const answer = await fetch(`/api/v1/${act}`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(fields),
    });
    if (!answer.ok) {
      const problem = await answer.json();
      throw new Error(`${problem.detail}; ${problem.remedy}`);
    }
    localStorage.setItem("townwatch-name", fields.by);
    error.classList.toggle("done", Boolean(done));
    if (done) error.textContent = done;
    else event.target.closest("details").open = false;
    refreshAlarms();
  } catch (problem) {
    error.classList.remove("done");
    error.textContent = `${body.actFailed}: ${problem.message}`;
  }
});

// Working on cases: JSON to the API, then the page of the case. Empty fields are left out.
document.addEventListener("submit", async (event) => {
  const { case: id, action, alarm, refused } = event.target.dataset;
  if (id === undefined) return;
  event.preventDefault();
  const fields = Object.fromEntries([...new FormData(event.target)].filter(([, value]) => value !== ""));
  if (fields.into) fields.into = Number(fields.into);
  if (fields.approve) fields.approve = true;
  if (alarm) fields.alarm = alarm;
  const error = event.target.querySelector(".error");
  error.textContent = "";
  try {
    const answer = await fetch(id ? `/api/v1/cases/${id}/${action}` : "/api/v1/cases", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(fields),
    });
    const told = await answer.json();
    if (!answer.ok) throw new Error(`${told.detail}; ${told.remedy}`);
    localStorage.setItem("townwatch-name", fields.by);
    location.href = `/cases/${told.id}`;
  } catch (problem) {
    error.textContent = `${refused}: ${problem.message}`;
  }
});
