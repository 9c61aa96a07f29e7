// Every host as a cell of a canvas: the pointer and the arrow keys read one, Enter opens it.
const COLUMNS = 200, CELL_MIN = 5, CELL_MAX = 14, HEIGHT = 260, AGAIN_MS = 3000;

for (const map of document.querySelectorAll(".map[data-source]")) begin(map);

async function begin(map) {
  const canvas = document.createElement("canvas");
  const said = document.createElement("output");
  canvas.tabIndex = 0;
  canvas.setAttribute("role", "application");
  canvas.setAttribute("aria-label", "Map of hosts: arrow keys read a cell, Enter opens its host");
  said.setAttribute("aria-live", "polite");
  map.append(canvas, said);
  let hosts = { states: [], cells: "", addresses: [] }, size = CELL_MAX, columns = 1, here = -1;
  let reading = false, stale = false;

  await read();
  new ResizeObserver(draw).observe(map);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  document.addEventListener("themechange", draw);
  document.addEventListener("htmx:sseMessage", again);
  canvas.addEventListener("pointermove", (event) => show(at(event)));
  canvas.addEventListener("pointerleave", () => show(-1));
  canvas.addEventListener("click", (event) => open(at(event)));
  canvas.addEventListener("keydown", move);
  canvas.addEventListener("focus", () => show(here < 0 ? 0 : here));

  async function read() {
    const answer = await fetch(map.dataset.source, { headers: { "Commissaire-By-Itself": "1" } });
    if (!answer.ok) return;
    const found = await answer.json();
    hosts = { ...found, addresses: whole(found.addresses) };
    map.hidden = !hosts.cells.length;
    draw();
  }

  async function again() {
    stale = true;
    if (reading) return;
    reading = true;
    while (stale) {
      stale = false;
      await read().catch(() => {});
      await new Promise((done) => setTimeout(done, AGAIN_MS));
    }
    reading = false;
  }

  function draw() {
    const begun = performance.now(), width = map.clientWidth, count = hosts.cells.length;
    if (!width || !count) return;
    size = Math.max(CELL_MIN, Math.min(CELL_MAX, Math.floor(Math.sqrt((width * HEIGHT) / count))));
    columns = Math.min(COLUMNS, Math.floor(width / size));
    const rows = Math.ceil(count / columns), scale = window.devicePixelRatio || 1;
    canvas.width = columns * size * scale;
    canvas.height = rows * size * scale;
    canvas.style.width = `${columns * size}px`;
    canvas.style.height = `${rows * size}px`;
    const pen = canvas.getContext("2d"), gap = size > 6 ? 2 : 1;
    pen.scale(scale, scale);
    hosts.states.forEach((state, number) => {
      const digit = number.toString(36);
      pen.fillStyle = colour(`--fill-${state}`);
      for (let cell = hosts.cells.indexOf(digit); cell >= 0; cell = hosts.cells.indexOf(digit, cell + 1)) {
        pen.fillRect((cell % columns) * size, Math.floor(cell / columns) * size, size - gap, size - gap);
      }
    });
    if (here >= 0) {
      pen.strokeStyle = colour("--ink");
      pen.lineWidth = 2;
      pen.strokeRect((here % columns) * size - 1, Math.floor(here / columns) * size - 1, size + 1, size + 1);
    }
    map.dataset.drawnMs = (performance.now() - begun).toFixed(1);
  }

  // What a custom property comes to in the scheme of now.
  function colour(name) {
    said.style.color = `var(${name}, var(--fill-waiting))`;
    const found = getComputedStyle(said).color;
    said.style.color = "";
    return found;
  }

  function at(event) {
    const cell = Math.floor(event.offsetY / size) * columns + Math.floor(event.offsetX / size);
    return cell < hosts.cells.length && event.offsetX < columns * size ? cell : -1;
  }

  function show(cell) {
    if (cell === here) return;
    here = cell;
    said.textContent = cell < 0 ? "" : told(cell);
    draw();
  }

  function told(cell) {
    const state = hosts.states[parseInt(hosts.cells[cell], 36)];
    return `${hosts.addresses[cell]}: ${state.replace("_", " ")}`;
  }

  function move(event) {
    const steps = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns };
    if (event.key === "Enter") return open(here);
    const last = hosts.cells.length - 1;
    const to = event.key === "Home" ? 0 : event.key === "End" ? last : here + steps[event.key];
    if (Number.isNaN(to)) return;
    event.preventDefault();
    if (to >= 0 && to <= last) show(to);
  }

  function open(cell) {
    if (cell < 0) return;
    const at = new URLSearchParams(location.search).get("at");
    const asked = at ? `?at=${encodeURIComponent(at)}` : "";
    location.assign(`/host/${encodeURIComponent(hosts.addresses[cell])}${asked}`);
  }
}

// Each address begins with so many characters of the one before it.
function whole(coded) {
  let before = "";
  return coded.split(",").map((each) => (before = before.slice(0, parseInt(each[0], 36)) + each.slice(1)));
}
