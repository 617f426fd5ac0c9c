'use strict';
/* Spectra of a sound on the mel scale, and the colours in which they are drawn.
 *
 * The page runs this as a script, and again as a worker of its own that answers messages.
 */

const mel = (hertz) => 2595 * Math.log10(1 + hertz / 700); // of HTK
const hertz = (mel) => 700 * (10 ** (mel / 2595) - 1);
const FLOAT = new Float32Array(1);
const BITS = new Uint32Array(FLOAT.buffer);

/* The Fourier transform of `size` complex numbers, a power of 2, in place. */
class Fourier {
  constructor(size) {
    this.size = size;
    this.cosines = Float64Array.from({ length: size / 2 }, (_, i) => Math.cos((2 * Math.PI * i) / size));
    this.sines = Float64Array.from({ length: size / 2 }, (_, i) => -Math.sin((2 * Math.PI * i) / size));
    this.reversed = new Uint32Array(size);
    for (let i = 1; i < size; i++) this.reversed[i] = (this.reversed[i >> 1] >> 1) | (i & 1 ? size >> 1 : 0);
  }

  transform(real, imaginary) {
    const { size, cosines, sines, reversed } = this;
    for (let i = 0; i < size; i++) {
      const j = reversed[i];
      if (j <= i) continue;
      const x = real[i], y = imaginary[i];
      real[i] = real[j];
      imaginary[i] = imaginary[j];
      real[j] = x;
      imaginary[j] = y;
    }
    for (let half = 1, step = size / 2; half < size; half *= 2, step /= 2) {
      for (let first = 0; first < size; first += 2 * half) {
        for (let a = first, k = 0; a < first + half; a++, k += step) {
          const b = a + half;
          const x = real[b] * cosines[k] - imaginary[b] * sines[k];
          const y = real[b] * sines[k] + imaginary[b] * cosines[k];
          real[b] = real[a] - x;
          imaginary[b] = imaginary[a] - y;
          real[a] += x;
          imaginary[a] += y;
        }
      }
    }
  }
}

/* Levels of a sound by time and mel frequency.
 *
 * As in Praat, the window is a Gaussian of twice the stated length, and levels rise by 6 dB
 * an octave so that higher formants are seen. 255 is the loudest of the recording and 0 its
 * background noise, but at least 40 dB and at most 65 dB below.
 */
class Spectrogram {
  static RANGE = [40, 65]; // dB
  static HIGHEST = 8000; // Hz

  constructor(samples, rate, length, rows) {
    Object.assign(this, { samples, rate, length, rows, highest: Math.min(rate / 2, Spectrogram.HIGHEST) });
    const width = Math.round(2 * length * rate);
    this.window = Float64Array.from({ length: width }, (_, i) => {
      const middle = (i + 0.5) / width - 0.5;
      return (Math.exp(-48 * middle * middle) - Math.exp(-12)) / (1 - Math.exp(-12));
    });
    this.fourier = new Fourier(Math.max(256, 2 ** Math.ceil(Math.log2(width))));
    this.real = new Float64Array(this.fourier.size);
    this.imaginary = new Float64Array(this.fourier.size);
    this.bands = Array.from({ length: rows }, (_, row) => this.band(row));
    this.measure();
  }

  /* Bins and weights of a row, counted from the top, and its emphasis in dB. */
  band(row) {
    const bins = [row + 1, row + 0.5, row].map(
      (edge) => (hertz(mel(this.highest) * (1 - edge / this.rows)) * this.fourier.size) / this.rate,
    );
    const emphasis = 20 * Math.log10(Math.max(bins[1] * this.rate, this.rate) / this.fourier.size / 1000);
    const first = Math.ceil(bins[0]);
    const count = Math.floor(bins[2]) - first + 1;
    if (bins[2] - bins[0] >= 2 && count > 0) return { first, weights: Array(count).fill(1 / count), emphasis };
    const share = bins[1] - Math.floor(bins[1]); // between two bins
    return { first: Math.floor(bins[1]), weights: [1 - share, share], emphasis };
  }

  /* Put the window around a time into an array; it has zeros outside of the sound. */
  cut(time, into) {
    const first = Math.round(time * this.rate - this.window.length / 2);
    into.fill(0);
    const from = Math.max(0, -first);
    const until = Math.min(this.window.length, this.samples.length - first);
    for (let i = from; i < until; i++) into[i] = this.window[i] * this.samples[first + i];
  }

  /* Add the power of two times to two columns of rows: one transform has both. */
  add(times, columns) {
    const { real, imaginary, fourier } = this;
    this.cut(times[0], real);
    this.cut(times[1], imaginary);
    fourier.transform(real, imaginary);
    for (let row = 0; row < this.rows; row++) {
      const { first, weights } = this.bands[row];
      for (let i = 0; i < weights.length; i++) {
        const bin = first + i, mirror = (fourier.size - bin) % fourier.size;
        const a = real[bin] + real[mirror], b = imaginary[bin] - imaginary[mirror];
        const c = imaginary[bin] + imaginary[mirror], d = real[mirror] - real[bin];
        columns[0][row] += weights[i] * (a * a + b * b);
        columns[1][row] += weights[i] * (c * c + d * d);
      }
    }
  }

  /* The level of a power in a row, to 0.3 dB: a float's bits are about its logarithm. */
  decibels(power, row) {
    FLOAT[0] = power + 1e-20;
    return 10 * Math.LOG10E * Math.LN2 * (BITS[0] / 2 ** 23 - 127) + this.bands[row].emphasis;
  }

  /* Find the level of the loudest windows, and how far below it the noise lies. */
  measure() {
    const windows = [], spacing = this.samples.length / this.rate / 600;
    for (let i = 0; i < 300; i++) {
      const columns = [new Float64Array(this.rows), new Float64Array(this.rows)];
      this.add([2 * i * spacing, (2 * i + 1) * spacing], columns);
      windows.push(...columns.map((column) => column.map((power, row) => this.decibels(power, row)).sort()));
    }
    windows.sort((a, b) => a[this.rows - 1] - b[this.rows - 1]);
    this.loudest = windows[594][this.rows - 1];
    const noise = windows[60][Math.floor(0.8 * this.rows)]; // most of the rows of a quiet window
    this.range = Math.min(Math.max(this.loudest - noise, Spectrogram.RANGE[0]), Spectrogram.RANGE[1]);
  }

  /* Levels, 0 to 255, of `count` columns of `span` seconds each; a column after the other. */
  levels(start, span, count) {
    const levels = new Uint8ClampedArray(count * this.rows);
    const windows = Math.min(4, Math.ceil(span / this.length)); // of a column, whose mean is taken
    for (let first = 0; first < count; first += 2) {
      const columns = [new Float64Array(this.rows), new Float64Array(this.rows)];
      for (let i = 0; i < windows; i++) {
        const time = start + (first + (i + 0.5) / windows) * span;
        this.add([time, time + span], columns);
      }
      columns.forEach((column, second) => {
        for (let row = 0; row < this.rows; row++) {
          const below = this.decibels(column[row] / windows, row) - this.loudest;
          levels[(first + second) * this.rows + row] = 255 * (1 + below / this.range);
        }
      });
    }
    return levels;
  }
}

/* As a worker: {samples, rate} and {length, rows} prepare, {start, span, count, ...} is answered. */
if (typeof document === 'undefined') {
  let sound, spectrogram;
  onmessage = ({ data }) => {
    if (data.samples) sound = data;
    if (data.rows) spectrogram = new Spectrogram(sound.samples, sound.rate, data.length, data.rows);
    if (!data.count) return;
    const levels = spectrogram.levels(data.start, data.span, data.count);
    postMessage({ ...data, levels }, [levels.buffer]);
  };
}

/* 256 colours as [red, green, blue], from a level of 0 to one of 255.
 *
 * Their lightness in Oklab (Ottosson, 2020, "A perceptual color space for image processing")
 * changes evenly, from that of the page's background, while the hue turns from violet over
 * red to yellow. Chroma is lowered where a screen could not show the colour.
 */
function spectrogramColours(dark) {
  return Array.from({ length: 256 }, (_, level) => {
    const share = level / 255;
    const lightness = dark ? 0.24 + 0.74 * share : 1 - 0.85 * share;
    const hue = ((-75 + 180 * ((lightness - 0.15) / 0.85)) * Math.PI) / 180;
    let chroma = 0.2 * Math.sin(Math.PI * share) ** (dark ? 0.6 : 1);
    let colour = fromOklab(lightness, chroma * Math.cos(hue), chroma * Math.sin(hue));
    while (chroma > 1e-3 && colour.some((part) => part < 0 || part > 1)) {
      chroma *= 0.95;
      colour = fromOklab(lightness, chroma * Math.cos(hue), chroma * Math.sin(hue));
    }
    return colour.map((part) => {
      const linear = Math.min(Math.max(part, 0), 1);
      return Math.round(255 * (linear > 0.0031308 ? 1.055 * linear ** (1 / 2.4) - 0.055 : 12.92 * linear));
    });
  });
}

/* Linear red, green and blue of a colour in Oklab. */
function fromOklab(lightness, a, b) {
  const l = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3;
  const m = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3;
  const s = (lightness - 0.0894841775 * a - 1.291485548 * b) ** 3;
  return [
    4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * s,
    -1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * s,
    -0.0041960863 * l - 0.7034186147 * m + 1.707614701 * s,
  ];
}
