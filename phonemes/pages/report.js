// Tells what is under the pointer in a confusion matrix, and shows where a recording plays.
const count = (frames) => frames.toLocaleString("en-US");
const share = (part, whole) => (whole ? `${((100 * part) / whole).toFixed(1)} %` : "–");

for (const figure of document.querySelectorAll("[data-matrix]")) {
  const data = JSON.parse(figure.querySelector("script").textContent);
  const size = data.names.length;
  const full = ([rows, columns, frames]) => {
    const cells = new Float64Array(size * size);
    rows.forEach((row, index) => { cells[row * size + columns[index]] = frames[index]; });
    return cells;
  };
  const now = full(data.counts), before = data.before && full(data.before);
  const sum = (cells, [top, bottom], [left, right]) => {
    let total = 0;
    for (let row = top; row < bottom; row++)
      for (let column = left; column < right; column++) total += cells[row * size + column];
    return total;
  };
  const everything = [0, size];
  const line = (from, to, rows, columns) => {
    const part = sum(now, rows, columns), whole = sum(now, rows, everything);
    if (!before) return `${from} → ${to}: ${count(part)} frames, ${share(part, whole)} of ${from}`;
    const first = sum(before, rows, columns), all = sum(before, rows, everything);
    return `${from} → ${to}: ${share(first, all)} of ${from} before, ${share(part, whole)} after ` +
      `(${count(first)} and ${count(part)} frames)`;
  };
  const group = (place) => data.groups.find(([, start, end]) => start <= place && place < end);
  const readout = figure.querySelector(".readout"), svg = figure.querySelector("svg");
  const field = figure.querySelector(".field"), cursor = figure.querySelector(".cursor");
  let row = 0, column = 0;
  const show = () => {
    cursor.setAttribute("x", column);
    cursor.setAttribute("y", row);
    cursor.setAttribute("visibility", "visible");
    readout.textContent = line(data.names[row], data.names[column], [row, row + 1], [column, column + 1]);
    const from = group(row), to = group(column);
    if (from && to) {
      const second = document.createElement("span");
      second.className = "muted";
      second.textContent = line(from[0], to[0], from.slice(1), to.slice(1));
      readout.append(second);
    }
  };
  const point = (event) => {
    const box = field.getBoundingClientRect();
    const x = Math.floor(((event.clientX - box.left) / box.width) * size);
    const y = Math.floor(((event.clientY - box.top) / box.height) * size);
    if (x < 0 || y < 0 || x >= size || y >= size) return;
    [row, column] = [y, x];
    show();
  };
  svg.addEventListener("pointermove", point);
  svg.addEventListener("pointerdown", point);
  svg.addEventListener("keydown", (event) => {
    const step = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
    if (!step) return;
    event.preventDefault();
    row = Math.min(size - 1, Math.max(0, row + step[0]));
    column = Math.min(size - 1, Math.max(0, column + step[1]));
    show();
  });
}

for (const audio of document.querySelectorAll("audio[data-pace]")) {
  const head = audio.closest("figure").querySelector(".playhead");
  const scroll = head.closest(".scroll"), pace = Number(audio.dataset.pace);
  const move = () => {
    const place = audio.currentTime * pace;
    head.hidden = false;
    head.style.left = `${place}px`;
    if (place < scroll.scrollLeft || place > scroll.scrollLeft + scroll.clientWidth)
      scroll.scrollLeft = place - 40;
    if (!audio.paused) requestAnimationFrame(move);
  };
  audio.addEventListener("play", move);
  audio.addEventListener("seeked", move);
}
