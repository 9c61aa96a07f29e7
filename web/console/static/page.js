// What every page has with script: the scheme, times of here, and the log-in in its place.
const { kept, keep, button } = commissaire;

const THEMES = { "": "as the system", light: "light", dark: "dark" };
const AGES_MS = 10_000;
const SPANS = [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]];
const CLOCK = new Intl.DateTimeFormat("sv-SE", {
  dateStyle: "short", timeStyle: "medium",
});
// What nobody asked for is no use of the session, which would never be idle.
const BY_ITSELF = { "Commissaire-By-Itself": "1" };
const ZONE = new Intl.DateTimeFormat("en", { timeZoneName: "short" });

// The scheme

const theme = button(`Colours: ${THEMES[kept("theme")] ?? THEMES[""]}`, () => {
  const names = Object.keys(THEMES);
  const next = names[(names.indexOf(kept("theme")) + 1) % names.length];
  keep("theme", next);
  if (next) document.documentElement.dataset.theme = next;
  else delete document.documentElement.dataset.theme;
  theme.textContent = `Colours: ${THEMES[next]}`;
  document.dispatchEvent(new Event("themechange"));
});

// Times

const loaded = Date.now(), serverNow = Date.parse(document.body.dataset.now);

function times() {
  for (const each of document.querySelectorAll("time[datetime]")) {
    const when = new Date(each.dateTime.replace(/(\.\d{3})\d+/, "$1"));
    if (Number.isNaN(when.getTime())) continue;
    const utc = `${when.toISOString().slice(0, 19).replace("T", " ")} UTC`;
    if (each.textContent.endsWith("UTC")) {
      each.textContent = local(when);
      each.title = utc;
    } else if (!each.textContent.endsWith(zone(when))) {
      each.title = `${local(when)}, ${utc}`;
      const age = ago(serverNow + Date.now() - loaded - when);
      if (each.textContent !== age) each.textContent = age;
    }
  }
}

function local(when) { return `${CLOCK.format(when)} ${zone(when)}`; }
function zone(when) {
  return ZONE.formatToParts(when).find((part) => part.type === "timeZoneName").value;
}

function ago(milliseconds) {
  const seconds = Math.abs(milliseconds) / 1000;
  const [span, unit] = SPANS.find(([length]) => seconds >= length) ?? [];
  if (!span) return "now";
  const count = Math.floor(seconds / span);
  return milliseconds > 0 ? `${count} ${unit} ago` : `in ${count} ${unit}`;
}

// The session

const dialog = document.createElement("dialog");
dialog.setAttribute("aria-labelledby", "ended");
dialog.innerHTML = `<form method="dialog" class="stack"><h2 id="ended">The session has ended</h2>
  <p>Log in again, and go on where you are.</p><p class="problem" role="alert"></p>
  <label for="again-user">User</label><input id="again-user" required autocomplete="username">
  <label for="again-password">Password</label>
  <input id="again-password" type="password" required maxlength="72" autocomplete="current-password">
  <button class="main">Log in</button></form>`;
dialog.querySelector("form").addEventListener("submit", logIn);
dialog.addEventListener("cancel", (event) => event.preventDefault());

async function look() {
  const answer = await fetch("/me", { redirect: "manual", headers: BY_ITSELF }).catch(() => null);
  if (answer?.type !== "opaqueredirect" || dialog.open) return;
  document.body.classList.add("cut-off");
  document.body.append(dialog);
  dialog.querySelector("#again-user").value = document.body.dataset.user;
  dialog.showModal();
}

async function logIn(event) {
  event.preventDefault();
  const [user, password] = dialog.querySelectorAll("input");
  const body = new URLSearchParams({ user: user.value, password: password.value, next: "/" });
  const answer = await fetch("/login", { method: "POST", body, redirect: "manual" }).catch(() => null);
  password.value = "";
  if (answer?.type !== "opaqueredirect") {
    dialog.querySelector(".problem").textContent =
      answer ? "The user name or the password is wrong, or it was tried too often." : "The service does not answer.";
    return;
  }
  if (user.value !== document.body.dataset.user) return location.reload();
  await renewForms();
  document.body.classList.remove("cut-off");
  dialog.close();
}

// Forms have the token of a session: they get that of the new one, and what was typed stays.
async function renewForms() {
  const text = await (await fetch("/me")).text();  // not the page itself: a form may have made it
  const token = new DOMParser().parseFromString(text, "text/html").querySelector("[name=csrf_token]")?.value;
  if (token) for (const each of document.querySelectorAll("[name=csrf_token]")) each.value = token;
}

document.querySelector("footer").append(theme);
times();
setInterval(times, AGES_MS);
document.addEventListener("htmx:afterSwap", times);
if (document.body.dataset.user) {
  document.addEventListener("htmx:sseError", look);
  document.addEventListener("visibilitychange", () => document.hidden || look());
}
