// The aligned face with what is hidden on it: brush for mouse, pen, touch and keyboard; shapes, undo, read again.

import { make, newId, say } from "./dom.js";
import { MaskModel, SHAPES, SIZE } from "./mask.js";
import { wholePercent } from "./words.js";

const KEYS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const STEP = 6; // crop pixels a key press moves the brush

/** {element, mask, show(images)}; onRead is called with the mask when the user wants the face read again. */
export function editor(title, onRead) {
  const mask = new MaskModel();
  const board = new Board(mask, title, () => update());
  const share = make("output", { class: "share", "aria-live": "off" });
  const undo = button("Undo", () => act(() => mask.undo()));
  const again = make("button", { type: "button", class: "primary", onclick: async () => {
    again.disabled = true;
    await onRead(mask);
    update();
  } }, "Read again");

  function update() {
    board.paint();
    share.value = wholePercent(mask.fraction);
    undo.disabled = mask.before.length === 0;
    again.disabled = !mask.changed;
  }
  function act(change) {
    change();
    update();
    say(`${title}: ${wholePercent(mask.fraction)} is marked as hidden.`);
  }

  const size = newId("size");
  const shape = newId("shape");
  const shapes = make("select", { id: shape }, ...SHAPES.map(([name], i) => make("option", { value: i }, name)));
  const put = (value) => act(() => {
    mask.remember();
    mask.set(SHAPES[shapes.value][1], value);
  });
  const tools = make("details", { class: "tools" }, make("summary", {}, "Draw what is hidden"), make("div", { class: "drawers" },
    make("fieldset", {}, make("legend", {}, "Brush"),
      choice(board, "Draw", 1, true), choice(board, "Erase", 0, false),
      make("label", { class: "size", for: size }, "Size ",
        make("input", { id: size, type: "range", min: 3, max: 48, value: board.radius, oninput: (event) => {
          board.radius = Number(event.target.value);
          board.paint();
        } }))),
    make("fieldset", {}, make("legend", {}, "Shape"),
      make("label", { for: shape, class: "unseen" }, "Which part of the face"), shapes,
      button("Hide", () => put(1)), button("Show", () => put(0))),
    make("div", { class: "buttons" }, again, undo, button("Clear", () => act(() => mask.clear())),
      button("As found", () => act(() => mask.reset()))),
    make("p", { class: "small" }, "Draw on the aligned face with mouse, finger or pen. With the keyboard: arrow keys move the brush, Space draws.")));
  tools.addEventListener("toggle", () => board.enable(tools.open));

  const show = async (images) => {
    board.picture.src = images.aligned;
    await mask.load(images.mask);
    update();
  };
  const figure = make("figure", { class: "step" }, board.element, make("figcaption", {}, "Aligned. Hidden, hatched: ", share));
  return { element: figure, tools, mask, show };
}

function button(name, onclick) {
  return make("button", { type: "button", onclick }, name);
}

function choice(board, name, value, checked) {
  const radio = make("input", { type: "radio", name: board.group, value, checked, onchange: () => { board.value = value; } });
  return make("label", { class: "radio" }, radio, name);
}

/** The picture, the canvas over it, and the brush. */
class Board {
  constructor(mask, title, changed) {
    Object.assign(this, { mask, changed, radius: 14, value: 1, at: { x: SIZE / 2, y: SIZE / 2 }, from: null, keyed: false });
    this.group = newId("brush");
    this.picture = make("img", { alt: `${title}, aligned`, width: SIZE, height: SIZE });
    this.canvas = make("canvas", { width: SIZE, height: SIZE, role: "img", "aria-label": `${title}: what is hidden` });
    this.context = this.canvas.getContext("2d");
    this.element = make("div", { class: "board" }, this.picture, this.canvas);
    const listen = (name, does) => this.canvas.addEventListener(name, (event) => { if (this.enabled) does(event); });
    listen("pointerdown", (event) => this.down(event));
    listen("pointermove", (event) => { if (this.from) this.move(event); });
    for (const name of ["pointerup", "pointercancel"]) listen(name, () => { this.from = null; });
    listen("keydown", (event) => this.key(event));
    listen("blur", () => { this.keyed = false; this.paint(); });
  }

  /** Only while the tools are open does the face take strokes and keys; else it scrolls as any picture. */
  enable(enabled) {
    this.enabled = enabled;
    this.canvas.classList.toggle("drawable", enabled);
    this.canvas.setAttribute("role", enabled ? "application" : "img");
    if (enabled) this.canvas.setAttribute("tabindex", "0");
    else this.canvas.removeAttribute("tabindex");
  }

  point(event) {
    const frame = this.canvas.getBoundingClientRect();
    return { x: ((event.clientX - frame.left) * SIZE) / frame.width, y: ((event.clientY - frame.top) * SIZE) / frame.height };
  }

  down(event) {
    if (event.button !== 0) return;
    this.canvas.setPointerCapture(event.pointerId);
    this.mask.remember();
    this.keyed = false;
    this.from = this.point(event);
    this.move(event);
  }

  move(event) {
    const to = this.point(event);
    this.mask.stroke(this.from, to, this.radius, this.value);
    this.from = to;
    this.changed();
  }

  key(event) {
    const to = KEYS[event.key];
    if (to) {
      this.at.x = Math.min(SIZE, Math.max(0, this.at.x + STEP * to[0]));
      this.at.y = Math.min(SIZE, Math.max(0, this.at.y + STEP * to[1]));
    } else if (event.key === " ") {
      this.mask.remember();
      this.mask.dot(this.at.x, this.at.y, this.radius, this.value);
    } else return;
    event.preventDefault();
    this.keyed = true;
    this.changed();
  }

  paint() {
    this.mask.paint(this.context);
    if (!this.keyed) return;
    for (const [colour, width] of [["#000", 3], ["#fff", 1.5]]) {
      this.context.strokeStyle = colour;
      this.context.lineWidth = width;
      this.context.beginPath();
      this.context.arc(this.at.x, this.at.y, this.radius, 0, 2 * Math.PI);
      this.context.stroke();
    }
  }
}
