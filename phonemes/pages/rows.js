'use strict';
/* The rows of a recording's picture. Times are seconds, lengths CSS pixels, probabilities whole
 * percents. An item is an array [start, end, label, ...]; items are in order of time.
 */

const clamp = (value, low, high) => Math.max(low, Math.min(value, high));

/* The index of the last item that starts at or before a time; -1 if there is none. */
function lastBefore(items, time) {
  let low = 0, high = items.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (items[middle][0] <= time) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

/* The indices of the items that are at least partly between two times. */
function* between(items, start, end) {
  for (let i = Math.max(0, lastBefore(items, start)); i < items.length && items[i][0] < end; i++)
    if (items[i][1] > start) yield i;
}

/* What part of the recording is visible, and where. */
class View {
  static HIGHEST = 8000; // pixels a second
  static LONGEST = 8e6; // pixels; browsers scroll over twice as many
  constructor(duration) {
    Object.assign(this, { duration, start: 0, scale: 0, width: 0, dpr: 1 });
  }
  x(time) { return (time - this.start) * this.scale; }
  time(x) { return this.start + x / this.scale; }
  get end() { return this.time(this.width); }
  get least() { return this.width / this.duration; }
  get most() { return Math.max(this.least, Math.min(View.HIGHEST, View.LONGEST / this.duration)); }
  /* Change the scale; the time at x stays where it is. */
  zoom(scale, x) {
    const fixed = this.scale ? this.time(x) : 0;
    this.scale = clamp(scale, this.least, this.most);
    this.go(fixed - x / this.scale);
  }
  go(start) {
    this.start = clamp(start, 0, Math.max(0, this.duration - this.width / this.scale));
  }
}

/* A picture of any length, in tiles, at levels of which each doubles the time of a column. */
class Tiles {
  static COLUMNS = 256;
  static KEPT = 200;
  /* `levels(start, span, key)` returns what is in a tile, or null where `add` is called later;
     `pixels(levels)` returns its picture in the colours of now. */
  constructor(rows, start, shortest, levels, pixels, smooth = false) {
    Object.assign(this, { rows, start, shortest, levels, pixels, smooth, tiles: new Map() });
  }
  add(key, levels) {
    const canvas = document.createElement('canvas');
    canvas.width = Tiles.COLUMNS;
    canvas.height = this.rows;
    const pixels = new Uint8ClampedArray(this.pixels(levels).buffer);
    canvas.getContext('2d').putImageData(new ImageData(pixels, Tiles.COLUMNS, this.rows), 0, 0);
    this.tiles.set(key, { canvas, levels });
    if (this.tiles.size > Tiles.KEPT) this.tiles.delete(this.tiles.keys().next().value);
  }
  recolour() {
    for (const [key, { levels }] of [...this.tiles]) this.add(key, levels);
  }
  /* Draw what is visible; what is not there yet from tiles of longer and shorter columns. */
  draw(g, view, height) {
    let level = 0;
    while (this.shortest * 2 ** (level + 1) * view.scale <= 1) level++;
    const span = this.shortest * 2 ** level, length = span * Tiles.COLUMNS;
    const last = Math.floor((Math.min(view.end, view.duration) - this.start) / length);
    g.imageSmoothingEnabled = this.smooth || span * view.scale <= 1;
    for (let index = Math.max(0, Math.floor((view.start - this.start) / length)); index <= last; index++) {
      if (this.put(g, view, height, level, index)) continue;
      const key = `${level}:${index}`, levels = this.levels(this.start + index * length, span, key);
      if (levels) this.add(key, levels);
      if (levels && this.put(g, view, height, level, index)) continue;
      for (let up = 1; up < 8 && !this.put(g, view, height, level, index, up); ) up++;
      for (const half of [0, 1]) this.put(g, view, height, level - 1, 2 * index + half);
    }
  }
  /* Draw a tile, or its part of the one `up` levels above; return whether that is there. */
  put(g, view, height, level, index, up = 0) {
    const key = `${level + up}:${index >> up}`, tile = this.tiles.get(key);
    if (!tile) return false;
    this.tiles.delete(key); // the one that was used least recently is the first
    this.tiles.set(key, tile);
    const columns = Tiles.COLUMNS / 2 ** up, length = this.shortest * 2 ** level * Tiles.COLUMNS;
    const pixel = (at) => Math.round(view.x(this.start + at * length) * view.dpr) / view.dpr; // no seams
    const left = pixel(index);
    g.drawImage(tile.canvas, (index % 2 ** up) * columns, 0, columns, this.rows, left, 0, pixel(index + 1) - left, height);
    return true;
  }
}

/* Colours and letters of the theme, as canvases need them. */
class Pen {
  static NAMES = ['surface', 'text', 'muted', 'line', 'accent', 'bad', 'vowel', 'stop', 'affricate',
    'fricative', 'nasal', 'approximant', 'silence', 'other'];
  constructor() {
    const style = getComputedStyle(document.documentElement);
    for (const name of Pen.NAMES) this[name] = style.getPropertyValue(`--${name}`).trim();
    this.family = getComputedStyle(document.body).fontFamily;
    const dark = Pen.parts(this.surface)[0] < 128, levels = spectrogramColours(dark);
    this.opacities = dark ? ['26', '73', '4d'] : ['33', '99', '4d']; // empty, filled, of a reference
    this.levels = Uint32Array.from(levels, ([red, green, blue]) => (255 << 24) | (blue << 16) | (green << 8) | red);
    this.widths = new Map();
    this.hatching = this.hatched();
  }
  /* A pattern of slanted lines. */
  hatched() {
    const tile = document.createElement('canvas'), g = tile.getContext('2d');
    tile.width = tile.height = 6;
    Object.assign(g, { strokeStyle: `${this.bad}b0`, lineWidth: 1.2 });
    for (const x of [-6, 0, 6]) {
      g.moveTo(x - 1, 7);
      g.lineTo(x + 7, -1);
    }
    g.stroke();
    return g.createPattern(tile, 'repeat');
  }
  static parts(colour) {
    return [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16));
  }
  font(size) {
    return `${size}px ${this.family}`;
  }
  write(g, text, x, y, { font = this.font(11), colour = this.muted, align = 'center' } = {}) {
    Object.assign(g, { font, textAlign: align, textBaseline: 'middle', fillStyle: colour });
    g.fillText(text, x, y);
  }
  width(g, text, font) {
    const key = font + text;
    if (!this.widths.has(key)) {
      g.font = font;
      this.widths.set(key, g.measureText(text).width);
    }
    return this.widths.get(key);
  }
  /* Write a text into a box: smaller or upright where it is too long for it, or not at all. */
  fit(g, text, left, right, height) {
    for (const size of [13, 11]) {
      const font = this.font(size), width = this.width(g, text, font), style = { font, colour: this.text };
      if (width + 2 <= right - left) return this.write(g, text, (left + right) / 2, height / 2 + 1, style);
      if (width + 2 > height || right - left < size + 1) continue;
      g.save();
      g.translate((left + right) / 2, height / 2);
      g.rotate(-Math.PI / 2);
      this.write(g, text, 0, 0.5, style);
      return g.restore();
    }
  }
}

/* All rows, from the top. A row is {name, height, paint(g, width), axis(g, width)} and perhaps
 * items: what is in its boxes, frequency(y) in Hz, or phoneme(y).
 */
class Rows {
  static PEAK = 64; // samples of which the lowest and the highest are kept
  constructor(data, view, small) {
    Object.assign(this, { data, view, pen: new Pen(), current: -1 });
    const { track } = data, each = clamp(Math.floor(220 / track.rows.length), 1, 10);
    this.posteriors = new Tiles(track.rows.length, track.start, track.stride,
      (start, span) => this.probabilities(start, span), (levels) => this.shades(levels));
    this.list = [
      this.ruler(),
      this.waveform(small ? 48 : 60),
      this.spectrogram(small ? 140 : 160),
      this.boxes('Phonemes', data.phones, 40, (...box) => this.phone(...box)),
      ...data.tiers.map((tier) => this.boxes(`Reference ${tier.name}`, tier.intervals, 36, (...box) => this.interval(tier, ...box))),
      ...(data.words.length ? [this.boxes('Words', data.words, 26, (...box) => this.plain(...box))] : []),
      this.frames(each),
    ];
  }
  recolour() {
    this.pen = new Pen();
    this.posteriors.recolour();
    this.sound?.tiles.recolour();
  }

  /* Take the sound: its samples at a rate in Hz, and the tiles of its spectrogram. */
  hear(samples, rate, tiles) {
    const peaks = new Float32Array(2 * Math.ceil(samples.length / Rows.PEAK));
    let loudest = 1e-4;
    for (let i = 0; i < samples.length; i++) {
      const at = 2 * Math.floor(i / Rows.PEAK), sample = samples[i];
      if (sample < peaks[at]) peaks[at] = sample;
      if (sample > peaks[at + 1]) peaks[at + 1] = sample;
      loudest = Math.max(loudest, Math.abs(sample));
    }
    this.sound = { samples, rate, tiles, peaks, loudest };
  }

  ruler() {
    const { view } = this;
    const paint = (g, width) => {
      const least = 64 / view.scale, power = 10 ** Math.floor(Math.log10(least));
      const factor = [1, 2, 5, 10].find((each) => each * power >= least);
      const step = factor * power, parts = factor === 2 ? 4 : 5;
      const decimals = Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
      for (let n = Math.floor((view.start / step) * parts); (n * step) / parts <= Math.min(view.end, view.duration); n++) {
        const time = (n * step) / parts, size = n % parts ? 4 : 8, text = time.toFixed(decimals);
        g.fillStyle = this.pen.muted;
        g.fillRect(Math.round(view.x(time)), 24 - size, 1, size);
        const half = this.pen.width(g, text, this.pen.font(11)) / 2;
        if (n % parts === 0) this.pen.write(g, text, clamp(view.x(time), half + 1, width - half), 8);
      }
    };
    const axis = (g, width) => this.pen.write(g, 's', width - 7, 8, { align: 'right' });
    return { name: 'Time axis', height: 24, className: 'ruler', paint, axis };
  }

  waveform(height) {
    const paint = (g, width) => {
      g.fillStyle = this.pen.line;
      g.fillRect(0, Math.round(height / 2), width, 1);
      if (this.sound) this.drawWave(g, this.view, width, height);
    };
    const axis = (g, width) => {
      const peak = this.sound ? this.sound.loudest.toFixed(2) : '';
      for (const [text, y] of [[peak, 8], ['0', height / 2], [peak && `−${peak}`, height - 8]])
        this.pen.write(g, text, width - 7, y, { align: 'right' });
    };
    return { name: 'Waveform', height, paint, axis };
  }

  /* Draw the lowest and the highest sample of each pixel or, where samples are few, a line. */
  drawWave(g, { start, scale, dpr }, width, height) {
    const { samples, rate, peaks, loudest } = this.sound, each = rate / (scale * dpr); // samples a pixel
    const y = (sample) => (1 - (0.94 * sample) / loudest) * (height / 2);
    g.fillStyle = g.strokeStyle = this.pen.accent;
    if (each < 8) {
      g.beginPath();
      const last = Math.min(samples.length, Math.ceil((start + width / scale) * rate) + 2);
      for (let i = Math.max(0, Math.floor(start * rate)); i < last; i++) g.lineTo((i / rate - start) * scale, y(samples[i]));
      return g.stroke();
    }
    const coarse = each > 4 * Rows.PEAK, unit = coarse ? Rows.PEAK : 1, end = Math.ceil(samples.length / unit);
    for (let column = 0; column < width * dpr; column++) {
      const last = Math.min(Math.ceil((start * rate + (column + 1) * each) / unit) + 1, end); // joins the next
      let low = Infinity, high = -Infinity;
      for (let i = Math.floor((start * rate + column * each) / unit); i < last; i++) {
        low = Math.min(low, coarse ? peaks[2 * i] : samples[i]);
        high = Math.max(high, coarse ? peaks[2 * i + 1] : samples[i]);
      }
      if (high >= low) g.fillRect(column / dpr, y(high), 1 / dpr, Math.max(y(low) - y(high), 1 / dpr));
    }
  }

  spectrogram(height) {
    const highest = mel(Math.min(this.data.rate / 2, Spectrogram.HIGHEST));
    const axis = (g, width) => {
      let above = -Infinity;
      for (const frequency of [8000, 6000, 4000, 3000, 2000, 1000, 500, 0]) {
        const y = height * (1 - mel(frequency) / highest), at = clamp(y, 7, height - 7);
        if (y < -1 || at - above < 11) continue;
        above = at;
        g.fillStyle = this.pen.muted;
        g.fillRect(width - 4, clamp(Math.round(y), 0, height - 1), 4, 1);
        this.pen.write(g, frequency || '0 Hz', width - 7, at, { align: 'right' });
      }
    };
    const paint = (g) => this.sound?.tiles.draw(g, this.view, height);
    return { name: 'Spectrogram', height, paint, axis, frequency: (y) => hertz(highest * (1 - y / height)) };
  }
  /* The picture of levels of a spectrogram: a column after the other, each from the top. */
  coloured(levels) {
    const rows = levels.length / Tiles.COLUMNS, pixels = new Uint32Array(levels.length);
    for (let i = 0, column = 0; column < Tiles.COLUMNS; column++)
      for (let row = 0; row < rows; row++) pixels[row * Tiles.COLUMNS + column] = this.pen.levels[levels[i++]];
    return pixels;
  }

  /* A row of boxes; `fill(g, item, left, width, height, index)` draws what is behind a label. */
  boxes(name, items, height, fill) {
    const { view } = this;
    const paint = (g, width) => {
      let drawn = -Infinity;
      const labelled = [];
      for (const i of between(items, view.start, view.end)) {
        const left = Math.round(view.x(items[i][0])), right = Math.round(view.x(items[i][1]));
        if (right <= drawn) continue; // within a pixel that is drawn
        drawn = right;
        fill(g, items[i], left, right - left > 3 ? right - left - 1 : right - left, height, i);
        const text = items[i][3] === true ? `≠${items[i][2]}` : items[i][2];
        if (right - left > 6 && text) labelled.push([text, Math.max(0, left), Math.min(width, right - 1)]);
      }
      for (const [text, left, right] of labelled) this.pen.fit(g, text, left, right, height);
    };
    const axis = (g, width) => {
      const lines = name.replace(' ', '\n').split('\n').map((line) => (line.length > 10 ? `${line.slice(0, 9)}…` : line));
      lines.forEach((line, i) => {
        const font = this.pen.font(this.pen.width(g, line, this.pen.font(11)) < width - 8 ? 11 : 9.5);
        this.pen.write(g, line, width - 7, height / 2 + 12 * (i + (1 - lines.length) / 2), { font, align: 'right' });
      });
    };
    return { name, height, className: 'boxes', items, paint, axis };
  }
  colour(label) {
    return this.pen[this.data.kinds[label] ?? 'other'];
  }
  phone(g, [, , label, confidence], left, width, height, index) {
    const filled = Math.round((height * confidence) / 100);
    g.fillStyle = this.colour(label) + this.pen.opacities[0];
    g.fillRect(left, 0, width, height - filled);
    g.fillStyle = this.colour(label) + this.pen.opacities[1];
    g.fillRect(left, height - filled, width, filled);
    if (index !== this.current) return;
    Object.assign(g, { strokeStyle: this.pen.accent, lineWidth: 3 });
    g.strokeRect(left + 1.5, 1.5, width - 3, height - 3);
  }
  interval(tier, g, [start, end, label], left, width, height) {
    if (!tier.compared) return this.plain(g, [start, end, label], left, width, height);
    g.fillStyle = this.colour(label) + this.pen.opacities[2];
    g.fillRect(left, 0, width, height);
    for (const i of between(tier.differences, start, end)) {
      const [from, until] = tier.differences[i].map((time) => clamp(this.view.x(time), left, left + width));
      g.fillStyle = this.pen.hatching;
      if (width > 3) g.fillRect(from, 0, until - from, height);
      g.fillStyle = this.pen.bad;
      g.fillRect(from, 0, until - from, 3);
    }
  }
  plain(g, [, , label], left, width, height) {
    g.fillStyle = `${this.pen.line}80`;
    if (label) g.fillRect(left, 0, width, height);
    g.fillStyle = `${this.pen.muted}99`;
    if (width > 3) g.fillRect(left + width, 0, 1, height);
  }

  /* The posteriors of single frames: a line of some pixels for each phoneme without its stress. */
  frames(each) {
    const { rows } = this.data.track, size = each * rows.length, edge = 5, height = size + 2 * edge;
    const starts = rows.flatMap(([, kind], i) => (i && kind === rows[i - 1][1] ? [] : [i])); // of kinds
    const paint = (g, width) => {
      g.save();
      g.translate(0, edge);
      this.posteriors.draw(g, this.view, size);
      g.fillStyle = this.pen.line;
      for (const i of starts) g.fillRect(0, i * each, width, 1);
      g.restore();
    };
    const axis = (g, width) => {
      g.translate(0, edge);
      rows.forEach(([, kind], i) => {
        g.fillStyle = this.pen[kind];
        g.fillRect(width - 4, i * each, 4, each);
      });
      const across = Math.ceil(10 / each); // names side by side
      if (across * 24 <= width)
        rows.forEach(([name], i) => {
          const style = { font: this.pen.font(9.5), colour: this.pen.text, align: 'right' };
          this.pen.write(g, name, width - 7 - (i % across) * ((width - 8) / across), (i + 0.5) * each, style);
        });
      else
        starts.forEach((start, i) => {
          const middle = ((start + (starts[i + 1] ?? rows.length)) / 2) * each;
          this.pen.write(g, rows[start][1], width - 7, middle, { font: this.pen.font(9), align: 'right' });
        });
    };
    const phoneme = (y) => rows[clamp(Math.floor((y - edge) / each), 0, rows.length - 1)][0];
    return { name: 'Posteriors', height, paint, axis, phoneme };
  }
  /* Means of the probabilities, 0 to 100, of each row and column of a tile. */
  probabilities(start, span) {
    const { track } = this.data, count = Math.round(span / track.stride), levels = new Float32Array(track.rows.length * Tiles.COLUMNS);
    const first = Math.round((start - track.start) / track.stride);
    const last = Math.min(track.labels[0].length, first + count * Tiles.COLUMNS);
    track.labels.forEach((labels, k) => {
      for (let t = first; t < last; t++) {
        const column = Math.floor((t - first) / count);
        levels[track.row[labels[t]] * Tiles.COLUMNS + column] += track.percents[k][t] / count;
      }
    });
    return levels;
  }
  shades(levels) {
    const pixels = new Uint32Array(levels.length);
    this.data.track.rows.forEach(([, kind], row) => {
      const [red, green, blue] = Pen.parts(this.pen[kind]), colour = (blue << 16) | (green << 8) | red;
      for (let i = row * Tiles.COLUMNS; i < (row + 1) * Tiles.COLUMNS; i++)
        if (levels[i]) pixels[i] = (Math.round(255 * Math.min(1, levels[i] / 100) ** 0.7) << 24) | colour;
    });
    return pixels;
  }
}
