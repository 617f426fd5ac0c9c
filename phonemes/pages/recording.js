'use strict';
/* The page of a recording: what plays it, and what answers the pointer and the keys. */

const $ = (id) => document.getElementById(id);
const duration = (start, end) => `${Math.round(1000 * (end - start))} ms`;
const share = (percent) => (percent ? (percent / 100).toFixed(2) : '<0.01');
const listed = (likeliest) => likeliest.map(([name, percent]) => `${name} ${share(percent)}`).join(', ');

function made(name, properties = {}, ...children) {
  const element = Object.assign(document.createElement(name), properties);
  element.append(...children);
  return element;
}

/* Change a text, where it is another one. */
function write(id, text) {
  if ($(id).textContent !== text) $(id).textContent = text;
}

/* Move an element to x and, if wanted, have it end at `until`. */
function place(element, x, until) {
  element.style.transform = `translateX(${x}px)`;
  if (until !== undefined) element.style.width = `${until - x}px`;
}

/* Give a canvas its size in pixels of the page and return what draws in them. */
function surface(canvas, width, height, dpr) {
  Object.assign(canvas, { width: Math.round(width * dpr), height: Math.round(height * dpr) });
  Object.assign(canvas.style, { width: `${width}px`, height: `${height}px` });
  const g = canvas.getContext('2d');
  g.scale(dpr, dpr);
  return g;
}

function bytesOf(base64) {
  const text = atob(base64), bytes = new Uint8Array(text.length);
  for (let i = 0; i < bytes.length; i++) bytes[i] = text.charCodeAt(i);
  return bytes;
}

function unpacked() {
  const stream = new Blob([bytesOf($('data').textContent)]).stream();
  return new Response(stream.pipeThrough(new DecompressionStream('deflate'))).json();
}

async function decoded(rate) {
  const source = $('sound').getAttribute('src'), { buffer } = bytesOf(source.slice(source.indexOf(',') + 1));
  const sound = await new OfflineAudioContext(1, 1, rate).decodeAudioData(buffer);
  $('sound').removeAttribute('src'); // megabytes
  return sound;
}

/* Plays spans of a sound; `changed(ended)` is called when it starts and stops. */
class Player {
  static FADE = 0.004; // s
  constructor(changed) {
    Object.assign(this, { changed, buffer: null, context: null, source: null });
  }
  async play(from, until) {
    this.stop();
    if (!this.buffer || until <= from) return;
    this.context ??= new AudioContext({ sampleRate: this.buffer.sampleRate });
    const source = this.context.createBufferSource(), gain = this.context.createGain();
    Object.assign(this, { source, gain, from, until, began: Infinity });
    this.changed();
    await this.context.resume();
    if (this.source !== source) return;
    const began = (this.began = this.context.currentTime + 0.01), ended = began + until - from;
    const fade = Math.min(Player.FADE, (until - from) / 2);
    gain.gain.setValueAtTime(0, began);
    gain.gain.linearRampToValueAtTime(1, began + fade);
    gain.gain.setValueAtTime(1, ended - fade);
    gain.gain.linearRampToValueAtTime(0, ended);
    source.buffer = this.buffer;
    source.connect(gain).connect(this.context.destination);
    source.onended = () => this.source === source && this.stop(true);
    source.start(began, from, until - from);
  }
  stop(ended = false) {
    const { source, gain, context } = this;
    if (!source) return;
    this.source = null;
    if (!ended && this.began < Infinity) {
      gain.gain.cancelScheduledValues(0);
      gain.gain.setTargetAtTime(0, context.currentTime, Player.FADE / 3);
      source.stop(context.currentTime + 2 * Player.FADE);
    }
    this.changed(ended);
  }
  /* The time that is heard now. */
  get position() {
    const passed = this.context.currentTime - (this.context.outputLatency || 0) - this.began;
    return clamp(this.from + Math.max(0, passed), this.from, this.until);
  }
}

/* Computes the tiles of a spectrogram in a worker, those that were asked for last. */
class Analyst {
  static ROWS = 160;
  constructor(samples, rate, pixels, arrived) {
    const script = new Blob([$('spectrogram').textContent], { type: 'text/javascript' });
    Object.assign(this, { pixels, arrived, wanted: [], busy: false });
    this.worker = new Worker(URL.createObjectURL(script));
    this.worker.postMessage({ samples, rate });
    this.worker.onmessage = ({ data }) => {
      this.busy = false;
      if (data.length === this.length) this.tiles.add(data.key, data.levels);
      this.next();
      this.arrived();
    };
  }
  /* Start anew with windows of a length in s. */
  look(length) {
    this.length = length;
    this.wanted = [];
    this.worker.postMessage({ length, rows: Analyst.ROWS });
    const ask = (start, span, key) => void this.wanted.push({ start, span, key, length, count: Tiles.COLUMNS });
    const shortest = 2 ** Math.round(Math.log2(length / 10)); // s of a column
    return (this.tiles = new Tiles(Analyst.ROWS, 0, shortest, ask, this.pixels, true));
  }
  next() {
    const tile = this.wanted.find(({ key }) => !this.tiles.tiles.has(key));
    if (!tile || this.busy) return;
    this.busy = true;
    this.worker.postMessage(tile);
  }
}

/* The state of the page, and what changes it. */
class Recording {
  static STANDARD = 250; // pixels a second at first: at these, labels fit
  static WIDE = 0.005; // s, length of the spectrogram's window
  static NARROW = 0.03; // s
  static PAPER = 600; // pixels, width of the rows in print
  constructor(data) {
    const view = new View(data.duration), small = matchMedia('(max-width: 40rem)').matches;
    const player = new Player((ended) => this.played(ended)), rows = new Rows(data, view, small);
    Object.assign(this, { data, view, rows, player, cursor: 0, selection: null, drawing: 0, narrow: false });
    this.tip = new Tip(this);
    this.hint = matchMedia('(pointer: coarse)').matches ? 'drag on the time axis to select' : 'drag to select';
    for (const row of rows.list) {
      row.canvas = made('canvas', { className: row.className ?? '', role: 'img', ariaLabel: row.name });
      row.beside = made('canvas');
      $('rows').append(row.canvas);
      $('gutter').append(row.beside);
    }
    this.measure();
    new ResizeObserver(() => this.measure()).observe($('frame'));
  }

  /* Take the sound: a buffer of Web Audio. */
  hear(buffer) {
    const samples = buffer.getChannelData(0);
    this.player.buffer = buffer;
    this.analyst = new Analyst(samples, buffer.sampleRate, (levels) => this.rows.coloured(levels), () => this.draw());
    this.rows.hear(samples, buffer.sampleRate, this.analyst.look(Recording.WIDE));
    this.measure();
  }

  /* What is seen */

  measure() {
    const width = this.paper ? Recording.PAPER : $('frame').clientWidth, dpr = this.paper ? 3 : Math.min(devicePixelRatio, 2);
    const { view } = this, whole = view.scale && view.scale === view.least, beside = $('gutter').clientWidth;
    Object.assign(view, { width, dpr });
    $('rows').style.width = `${width}px`;
    this.surfaces = this.rows.list.map(({ canvas, height }) => surface(canvas, width, height, dpr));
    for (const { beside: canvas, height, axis } of this.rows.list) axis(surface(canvas, beside, height, dpr), beside);
    this.overview = surface($('overview').querySelector('canvas'), width, 32, dpr);
    if (this.rows.sound) this.rows.drawWave(this.overview, { start: 0, scale: view.least, dpr }, width, 32);
    this.zoom(whole ? view.least : view.scale || Recording.STANDARD, 0);
  }
  /* Change the scale around x, at first the middle of the selection or the cursor, if seen. */
  zoom(scale, x) {
    const { view } = this, [start, end] = this.selection ?? [this.cursor, this.cursor];
    const middle = view.x((start + end) / 2), seen = middle >= 0 && middle <= view.width;
    view.zoom(scale, x ?? (seen ? middle : view.width / 2));
    this.moved();
  }
  go(start) {
    this.view.go(start);
    this.moved();
  }
  /* Follow the view, which has changed. */
  moved() {
    const { view } = this, seen = view.width / view.scale;
    $('length').style.width = `${view.duration * view.scale}px`;
    $('frame').scrollLeft = view.start * view.scale;
    $('zoom').value = 100 * (Math.log(view.scale / view.least) / Math.log(view.most / view.least) || 0);
    $('zoom').ariaValueText = `${seen.toPrecision(3)} s are visible`;
    $('overview').ariaValueNow = view.start.toFixed(3);
    $('overview').ariaValueText = `${view.start.toFixed(2)} to ${(view.start + seen).toFixed(2)} s`;
    this.tip.hide();
    this.draw();
  }
  scrolled() {
    const { view } = this, start = $('frame').scrollLeft / view.scale;
    if (Math.abs(start - view.start) * view.scale > 1) this.go(start); // not after `moved`
  }
  draw() {
    this.drawing ||= requestAnimationFrame(() => this.paint());
  }
  paint() {
    const { view } = this;
    this.drawing = 0;
    if (this.analyst) this.analyst.wanted = [];
    this.rows.list.forEach((row, i) => {
      this.surfaces[i].clearRect(0, 0, view.width, row.height);
      row.paint(this.surfaces[i], view.width);
    });
    this.analyst?.next();
    this.mark();
  }
  /* Put cursor, selection and the overview's window where they belong. */
  mark() {
    const { view, selection } = this, all = view.width / view.duration;
    place($('cursor'), view.x(this.cursor));
    place($('cursor-overview'), this.cursor * all);
    place($('window'), view.start * all, Math.min(view.end, view.duration) * all);
    $('selection').hidden = !selection;
    if (selection) place($('selection'), Math.max(view.x(selection[0]), -9), Math.min(view.x(selection[1]), view.width + 9));
    write('now', this.cursor.toFixed(3));
    write('spoken', this.data.phones[lastBefore(this.data.phones, this.cursor)]?.[2] ?? '');
    const [from, until] = selection?.map((time) => time.toFixed(3)) ?? [];
    write('span', selection ? `selected ${from} to ${until} s, ${duration(...selection)}` : this.hint);
  }

  /* What is heard */

  /* Play the selection, or from the cursor on; or pause. */
  toggle() {
    if (this.player.source) return this.player.stop();
    const [from, until] = this.selection ?? [0, this.data.duration];
    const within = from <= this.cursor && this.cursor < until - 0.001;
    this.player.play(within ? this.cursor : from, until);
  }
  played(ended) {
    const playing = Boolean(this.player.source);
    document.documentElement.classList.toggle('playing', playing);
    write('play-name', playing ? 'Pause' : 'Play');
    if (ended) this.cursor = this.selection?.[0] ?? this.player.until;
    cancelAnimationFrame(this.following);
    if (playing) this.following = requestAnimationFrame(() => this.follow());
    else this.mark();
  }
  /* Move the cursor while the sound plays, and turn the page where it leaves what is seen. */
  follow() {
    const { view } = this, seen = this.cursor >= view.start && this.cursor <= view.end;
    this.cursor = this.player.position;
    if (seen && this.cursor > view.end) this.go(this.cursor - 0.05 * (view.end - view.start));
    this.mark();
    this.following = requestAnimationFrame(() => this.follow());
  }
  /* Select a span, perhaps that of a phoneme, and move the cursor to its start. */
  select(start, end, { heard = false, phone = -1 } = {}) {
    this.player.stop();
    Object.assign(this, { selection: [start, end], cursor: start });
    this.rows.current = phone;
    this.draw();
    if (heard) this.player.play(start, end);
  }
  /* Move the cursor; nothing is selected any more. */
  put(time) {
    this.player.stop();
    Object.assign(this, { selection: null, cursor: clamp(time, 0, this.data.duration) });
    this.rows.current = -1;
    this.draw();
  }
  choose(phone, heard) {
    const [start, end] = this.data.phones[phone], { view } = this;
    if (start < view.start || end > view.end) this.go(Math.min(start, (start + end - view.width / view.scale) / 2));
    this.select(start, end, { heard, phone });
  }
  /* Go to the next phoneme or the one before, and say which it is. */
  step(by) {
    const { phones } = this.data, { current } = this.rows;
    const phone = current < 0 ? Math.max(0, lastBefore(phones, this.cursor)) : current + by;
    this.choose(clamp(phone, 0, phones.length - 1), false);
    const [start, end, label, confidence, likeliest] = phones[this.rows.current];
    const what = `${label}, ${duration(start, end)}, from ${start.toFixed(3)} s, confidence ${share(confidence)}`;
    write('said', `${what}; likeliest ${listed(likeliest)}`);
    this.tip.show(this.rows.list.find(({ items }) => items === phones), this.view.x(start) + 0.5);
  }
  jump(time, name) {
    this.put(time);
    this.go(time);
    write('said', `${name}, ${time.toFixed(3)} s`);
  }
  /* Change between the two lengths of the spectrogram's window. */
  band() {
    if (!this.analyst) return;
    this.narrow = !this.narrow;
    $('narrow').ariaPressed = this.narrow;
    this.rows.sound.tiles = this.analyst.look(this.narrow ? Recording.NARROW : Recording.WIDE);
    this.draw();
  }
  recolour() {
    this.rows.recolour();
    this.measure();
  }
  /* Draw for paper what is seen, in light colours and finely; and for the screen again. */
  print(paper) {
    const { view } = this, { start, end, scale } = view;
    if (paper) this.before = { start, scale };
    this.paper = paper;
    document.documentElement.classList.toggle('light', paper);
    write('shown', paper ? `; shown: ${start.toFixed(2)} to ${Math.min(end, view.duration).toFixed(2)} s` : '');
    this.recolour();
    this.zoom(paper ? view.width / (end - start) : this.before.scale, 0);
    this.go(paper ? start : this.before.start);
    this.paint();
  }
}

/* What is told of the place under the pointer, or of the phoneme that the keys went to. */
class Tip {
  constructor(recording) {
    this.recording = recording;
  }
  hide() {
    $('tip').hidden = $('pointer').hidden = true;
  }
  /* Tell of a row at x and y; y counts from the row's top. */
  show(row, x, y) {
    const { data, view } = this.recording, time = clamp(view.time(x), 0, data.duration);
    const item = row.items?.[lastBefore(row.items, time)], lines = [];
    if (item && time < item[1]) {
      const [start, end, label, confidence, likeliest] = item;
      lines.push(made('b', {}, label || 'silence'));
      if (likeliest) lines.push(...likeliest.map((chance) => this.chance(...chance)));
      lines.push(`${start.toFixed(3)} to ${end.toFixed(3)} s, ${duration(start, end)}`);
      if (likeliest) lines.push(`confidence ${share(confidence)}`);
      if (confidence === true) lines.push('differs from the phonemes');
    } else {
      if (row.phoneme) lines.push(...this.frame(time), `in the line of ${row.phoneme(y)}`);
      lines.push(`${time.toFixed(3)} s${row.frequency ? `, ${Math.round(row.frequency(y))} Hz` : ''}`);
    }
    $('tip').replaceChildren(...lines.map((line) => (line instanceof Node ? line : made('div', {}, line))));
    if (row.items) this.place(clamp(view.x(item?.[1] ?? 0), x, x + 80), this.recording.rows.list.at(-1).canvas.offsetTop + 4);
    else this.place(x, row.canvas.offsetTop + y + 18);
  }
  place(x, y) {
    const tip = $('tip'), beside = $('frame').offsetLeft, above = $('frame').offsetTop, stage = $('stage');
    tip.hidden = false;
    tip.style.left = `${Math.min(x + beside + 14, stage.clientWidth - tip.offsetWidth - 4)}px`;
    tip.style.top = `${Math.min(y + above, stage.clientHeight - tip.offsetHeight - 4)}px`;
  }
  /* The likeliest phonemes of the frame at a time. */
  frame(time) {
    const { track } = this.recording.data, t = Math.floor((time - track.start) / track.stride);
    const likely = track.percents.slice(0, 3).map((percents, k) => [track.phonemes[track.labels[k][t]], percents[t]]);
    return likely.filter(([, percent]) => percent > 0).map((chance) => this.chance(...chance));
  }
  chance(name, percent) {
    const bar = made('i', { className: `swatch ${this.recording.data.kinds[name]}` });
    bar.style.width = `${percent}%`;
    return made('div', { className: 'chance' }, made('span', {}, name), share(percent), bar);
  }
}

/* Have the pointer play, select, zoom and scroll. */
function listenToPointer(recording) {
  const { view, rows, tip } = recording, frame = $('frame');
  const x = (event) => event.clientX - frame.getBoundingClientRect().left;
  let press = null; // where the pointer went down
  frame.addEventListener('pointerdown', (event) => {
    const row = rows.list.find(({ canvas }) => canvas === event.target);
    press = row && event.button === 0 && event.isPrimary ? { row, x: x(event), time: view.time(x(event)) } : null;
    const draws = press && (event.pointerType !== 'touch' || row.className === 'ruler');
    if (draws) {
      press.draws = true;
      frame.setPointerCapture(event.pointerId);
    }
  });
  frame.addEventListener('pointermove', (event) => {
    if (press?.draws && (press.dragged ||= Math.abs(x(event) - press.x) > 4)) {
      const span = [press.time, view.time(x(event))].map((time) => clamp(time, 0, view.duration)).sort((a, b) => a - b);
      tip.hide();
      return recording.select(...span);
    }
    const row = rows.list.find(({ canvas }) => canvas === event.target);
    if (press || event.pointerType === 'touch' || !row) return;
    $('pointer').hidden = false;
    place($('pointer'), x(event));
    tip.show(row, x(event), event.offsetY);
  });
  frame.addEventListener('pointerup', (event) => {
    const { row, dragged, time } = press ?? {};
    press = null;
    if (dragged) recording.player.play(...recording.selection);
    else if (row) tap(recording, row, time);
    if (row?.items && event.pointerType === 'touch') tip.show(row, x(event));
    else if (event.pointerType === 'touch') tip.hide();
  });
  frame.addEventListener('pointercancel', () => (press = null));
  frame.addEventListener('pointerleave', (event) => event.pointerType !== 'touch' && tip.hide());
  frame.addEventListener('scroll', () => recording.scrolled());
  frame.addEventListener('wheel', (event) => {
    if (!event.ctrlKey && !event.metaKey) return;
    event.preventDefault();
    const turned = clamp(event.deltaY * (event.deltaMode ? 16 : 1), -60, 60);
    recording.zoom(view.scale * Math.exp(-turned / 100), x(event));
  }, { passive: false });
  listenToFingers(recording, () => (press = null));
}

/* Play what was clicked or, where it is no phoneme, word or interval, move the cursor. */
function tap(recording, row, time) {
  const index = row.items ? lastBefore(row.items, time) : -1, item = row.items?.[index];
  if (row.items === recording.data.phones && item) recording.choose(index, true);
  else if (item && time < item[1]) recording.select(item[0], item[1], { heard: true });
  else {
    const playing = recording.player.source;
    recording.put(time);
    if (playing) recording.player.play(recording.cursor, recording.data.duration);
  }
}

/* Zoom with two fingers: what was between them stays there. */
function listenToFingers(recording, forget) {
  const { view } = recording, frame = $('frame');
  let pinch = null;
  const fingers = ({ touches: [one, other] }) => ({
    apart: Math.hypot(one.clientX - other.clientX, one.clientY - other.clientY),
    middle: (one.clientX + other.clientX) / 2 - frame.getBoundingClientRect().left,
  });
  frame.addEventListener('touchstart', (event) => {
    pinch = null;
    if (event.touches.length !== 2) return;
    event.preventDefault();
    forget();
    const { apart, middle } = fingers(event);
    pinch = { apart, scale: view.scale, time: view.time(middle) };
  }, { passive: false });
  frame.addEventListener('touchmove', (event) => {
    if (!pinch || event.touches.length !== 2) return;
    event.preventDefault();
    const { apart, middle } = fingers(event);
    recording.zoom((pinch.scale * apart) / pinch.apart, middle);
    recording.go(pinch.time - middle / view.scale);
  }, { passive: false });
}

/* Have the buttons, the overview and the keys work. */
function listenToControls(recording) {
  const { view } = recording, overview = $('overview');
  const actions = {
    play: () => recording.toggle(), previous: () => recording.step(-1), next: () => recording.step(1),
    in: () => recording.zoom(1.5 * view.scale), out: () => recording.zoom(view.scale / 1.5),
    whole: () => recording.zoom(view.least), narrow: () => recording.band(),
    keys: () => ($('help').open ? $('help').close() : $('help').showModal()),
  };
  for (const [id, act] of Object.entries(actions)) $(id).addEventListener('click', act);
  $('zoom').addEventListener('input', () => recording.zoom(view.least * (view.most / view.least) ** ($('zoom').value / 100)));
  const aim = (event) => {
    const share = (event.clientX - overview.getBoundingClientRect().left) / overview.clientWidth;
    if (event.buttons) recording.go(share * view.duration - view.width / view.scale / 2);
  };
  overview.addEventListener('pointerdown', (event) => (overview.setPointerCapture(event.pointerId), aim(event)));
  overview.addEventListener('pointermove', aim);
  const keys = {
    ' ': actions.play, '+': actions.in, '=': actions.in, '-': actions.out, 0: actions.whole, n: actions.narrow, '?': actions.keys,
    ArrowLeft: actions.previous, ArrowRight: actions.next,
    Enter: () => recording.player.play(...(recording.selection ?? [recording.cursor, view.duration])),
    Home: () => recording.jump(0, 'start'), End: () => recording.jump(view.duration, 'end'),
    Escape: () => (recording.put(recording.cursor), recording.tip.hide()),
  };
  const seen = () => view.width / view.scale;
  const scrolls = {
    ArrowLeft: () => -seen() / 10, ArrowRight: () => seen() / 10, PageUp: () => -seen(), PageDown: seen,
    Home: () => -Infinity, End: () => Infinity,
  };
  addEventListener('keydown', (event) => {
    const { target, key } = event;
    if (event.ctrlKey || event.metaKey || event.altKey || event.repeat && key === ' ' || ($('help').open && key !== '?')) return;
    if (target === $('zoom') && /^(Arrow|Home|End)/.test(key)) return;
    if (/^( |Enter)$/.test(key) && target.closest('button, summary')) return;
    const scroll = target === overview && scrolls[key], act = keys[key];
    if (!scroll && !act) return;
    event.preventDefault();
    if (scroll) recording.go(view.start + scroll());
    else act();
  });
}

/* Fill the table when it is opened, some rows at a time. */
function fillTable(recording) {
  const { phones, words } = recording.data, body = $('table').querySelector('tbody');
  const cell = (text, className = '') => made('td', { className }, text);
  const fill = () => {
    for (let end = Math.min(body.rows.length + 200, phones.length), i = body.rows.length; i < end; i++) {
      const [start, stop, label, confidence, likeliest] = phones[i];
      const hear = made('button', { type: 'button', ariaLabel: `Hear ${label}`, onclick: () => recording.choose(i, true) }, label);
      const word = words[lastBefore(words, (start + stop) / 2)];
      body.append(made('tr', {}, made('th', { scope: 'row' }, hear), cell(start.toFixed(3), 'number'), cell(stop.toFixed(3), 'number'),
        cell(`${Math.round(1000 * (stop - start))}`, 'number'), cell(share(confidence), 'number'),
        cell(listed(likeliest)),
        ...(words.length ? [cell(word && (start + stop) / 2 < word[1] ? word[2] : '')] : [])));
    }
    if (body.rows.length < phones.length) requestAnimationFrame(fill);
  };
  $('table').addEventListener('toggle', fill, { once: true });
}

async function main() {
  try {
    const recording = new Recording(await unpacked());
    listenToPointer(recording);
    listenToControls(recording);
    fillTable(recording);
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => recording.recolour());
    addEventListener('beforeprint', () => recording.print(true));
    addEventListener('afterprint', () => recording.print(false));
    recording.hear(await decoded(recording.data.rate));
    document.documentElement.classList.add('heard');
    write('status', '');
  } catch (error) {
    write('status', `This browser cannot show all of the recording: ${error.message}`);
  }
}

main();
