// What is hidden in a face: 256×256 flags, drawn with a brush or as shapes, with undo.

export const SIZE = 256;
const MOST_UNDO = 30;

/** Shapes in crop pixels of an aligned face: [name, test of (x, y)]. */
export const SHAPES = [
  ["Eyes", (x, y) => x >= 40 && x < 216 && y >= 78 && y < 128],
  ["Mouth and nose", (x, y) => x >= 52 && x < 204 && y >= 132 && y < 240],
  ["Left half", (x) => x < SIZE / 2],
  ["Right half", (x) => x >= SIZE / 2],
  ["Upper half", (x, y) => y < SIZE / 2],
  ["Lower half", (x, y) => y >= SIZE / 2],
  ["Everything", () => true],
];

/** The flags, and what was done to them. */
export class MaskModel {
  constructor() {
    this.hidden = new Uint8Array(SIZE * SIZE);
    this.found = this.hidden;
    this.before = [];
  }

  /** Take the mask that the server found from its picture, white = hidden. */
  async load(uri) {
    const picture = new Image();
    picture.src = uri;
    await picture.decode();
    const context = canvas().getContext("2d");
    context.drawImage(picture, 0, 0, SIZE, SIZE);
    const { data } = context.getImageData(0, 0, SIZE, SIZE);
    this.found = Uint8Array.from({ length: SIZE * SIZE }, (_, i) => (data[4 * i] > 127 ? 1 : 0));
    this.hidden = this.found.slice();
    this.before = [];
  }

  /** Remember how it is now, for undo. */
  remember() {
    this.before.push(this.hidden.slice());
    if (this.before.length > MOST_UNDO) this.before.shift();
  }

  undo() {
    if (this.before.length) this.hidden = this.before.pop();
  }

  clear() {
    this.remember();
    this.hidden.fill(0);
  }

  /** Back to what the server found. */
  reset() {
    this.remember();
    this.hidden = this.found.slice();
  }

  /** Hide (1) or show (0) all pixels for which test(x, y) holds. */
  set(test, value) {
    for (let y = 0, i = 0; y < SIZE; y += 1) {
      for (let x = 0; x < SIZE; x += 1, i += 1) if (test(x, y)) this.hidden[i] = value;
    }
  }

  /** A stroke of a round brush from one point to another, in crop pixels. */
  stroke(from, to, radius, value) {
    const steps = Math.max(1, Math.ceil(Math.hypot(to.x - from.x, to.y - from.y) / Math.max(1, radius / 2)));
    for (let step = 0; step <= steps; step += 1) {
      const cx = from.x + ((to.x - from.x) * step) / steps;
      const cy = from.y + ((to.y - from.y) * step) / steps;
      this.dot(cx, cy, radius, value);
    }
  }

  dot(cx, cy, radius, value) {
    const top = Math.max(0, Math.floor(cy - radius));
    const bottom = Math.min(SIZE - 1, Math.ceil(cy + radius));
    const left = Math.max(0, Math.floor(cx - radius));
    const right = Math.min(SIZE - 1, Math.ceil(cx + radius));
    for (let y = top; y <= bottom; y += 1) {
      for (let x = left; x <= right; x += 1) {
        if ((x + 0.5 - cx) ** 2 + (y + 0.5 - cy) ** 2 <= radius ** 2) this.hidden[y * SIZE + x] = value;
      }
    }
  }

  /** The hidden part, in [0, 1]. */
  get fraction() {
    return this.hidden.reduce((sum, one) => sum + one, 0) / this.hidden.length;
  }

  /** Whether it differs from what the server found. */
  get changed() {
    return this.hidden.some((one, i) => one !== this.found[i]);
  }

  /** Show it on a canvas of 256×256: orange hatching that lets the face through. */
  paint(context) {
    const image = context.createImageData(SIZE, SIZE);
    this.hidden.forEach((one, i) => {
      if (!one) return;
      const stripe = ((i % SIZE) + Math.floor(i / SIZE)) % 12 < 4;
      image.data.set([224, 138, 30, stripe ? 225 : 135], 4 * i);
    });
    context.putImageData(image, 0, 0);
  }

  /** As the server wants it: a PNG, white = hidden. */
  async png() {
    const made = canvas();
    const context = made.getContext("2d");
    const image = context.createImageData(SIZE, SIZE);
    this.hidden.forEach((one, i) => image.data.set([255 * one, 255 * one, 255 * one, 255], 4 * i));
    context.putImageData(image, 0, 0);
    return new Promise((resolve) => made.toBlob(resolve, "image/png"));
  }
}

function canvas() {
  const made = document.createElement("canvas");
  made.width = SIZE;
  made.height = SIZE;
  return made;
}

/** The bytes of a data URI as a Blob, without a request. */
export function blobOf(uri) {
  const [head, body] = uri.split(",");
  const bytes = Uint8Array.from(atob(body), (letter) => letter.charCodeAt(0));
  return new Blob([bytes], { type: head.slice(5).split(";")[0] });
}
