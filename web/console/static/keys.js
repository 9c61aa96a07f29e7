// Keys for whoever wants them: they can be switched off, and Tab reaches everything without them.
const { kept, keep, button } = commissaire;

const AFTER_G_MS = 1500;
const PLACES = { h: "/hosts", c: "/clusters", o: "/operations", p: "/past?page=/&back=3600", n: "/", i: "/history" };
const LIST = [
  ["/", "find"], ["g n", "go to Now"], ["g h", "hosts"], ["g c", "clusters"], ["g o", "operations"],
  ["g i", "history"], ["g p", "the past"], ["j, k", "next and previous row"], ["Enter", "open the row"],
  ["x", "mark the row"], ["p", "pause or resume the operation"], ["?", "this list"],
];
let afterG = -Infinity;

const list = document.createElement("dialog");
list.setAttribute("aria-labelledby", "keys");
list.innerHTML = `<h2 id="keys">Keys</h2><dl>${LIST.map(([key, does]) => `<dt><kbd>${key}</kbd></dt><dd>${does}</dd>`).join("")}</dl>
  <p><label><input type="checkbox" id="keys-on"> Keys are on</label></p><form method="dialog"><button>Close</button></form>`;
const isOn = list.querySelector("input");
isOn.checked = kept("keys") !== "off";
isOn.addEventListener("change", () => keep("keys", isOn.checked ? "on" : "off"));

function help() {
  if (!list.isConnected) document.body.append(list);
  if (!list.open) list.showModal();
}

function row(step) {
  const rows = [...document.querySelectorAll("main tbody tr")].filter((each) => each.querySelector("a"));
  const here = rows.findIndex((each) => each.contains(document.activeElement));
  const next = rows[Math.min(Math.max(here + step, 0), rows.length - 1)];
  next?.querySelector("th a, a").focus();
}

const ACTS = {
  "/": () => document.querySelector("[role=search] input:not([type=hidden])")?.focus(),
  "?": help,
  j: () => row(1),
  k: () => row(-1),
  x: () => document.activeElement.closest("tr")?.querySelector("input[type=checkbox]")?.click(),
  p: () => document.querySelector("button[name=state][value=paused], button[name=state][value=in_process]")?.click(),
};

document.addEventListener("keydown", (event) => {
  const isTyped = event.target.closest("input:not([type=checkbox]):not([type=range]), select, textarea, dialog");
  if (!isOn.checked || isTyped || event.ctrlKey || event.metaKey || event.altKey) return;
  const isGoing = performance.now() - afterG < AFTER_G_MS;
  afterG = -Infinity;
  if (isGoing && PLACES[event.key]) location.assign(PLACES[event.key]);
  else if (event.key === "g") afterG = performance.now();
  else if (ACTS[event.key]) ACTS[event.key]();
  else return;
  event.preventDefault();
});

document.querySelector("footer").append(" ", button("Keys", help));
