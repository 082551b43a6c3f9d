// One face: the answer in words, the steps, the distribution, and what can be done with it.

import { Refused, read, restore } from "./api.js";
import { chart } from "./chart.js";
import { make, newId, say } from "./dom.js";
import { editor } from "./editor.js";
import { blobOf } from "./mask.js";
import { atLeast, hiddenSentence, percent, sentence } from "./words.js";

/** The card of a face. ``record`` is always that of the last reading. */
export class FaceCard {
  constructor(record, number, photo, settings) {
    this.record = record;
    this.settings = settings;
    this.title = `${photo}, face ${number}`;
    const heading = newId("face");
    this.words = make("p", { class: "answer" });
    this.threshold = make("p", { class: "at-least" });
    this.hidden = make("p", { class: "hidden-part" });
    this.error = make("p", { class: "error", role: "alert" });
    this.drawing = make("div", { class: "chart-place" });
    this.restored = make("div", { class: "step restored" });
    this.editor = editor(this.title, (mask) => this.readAgain(mask));
    this.element = make("article", { class: "face", "aria-labelledby": heading },
      make("h3", { id: heading }, make("span", { class: "number" }, `${number}`), ` Face ${number}`),
      this.words, this.threshold, this.hidden,
      make("div", { class: "steps" }, record.images ? this.editor.element : null, this.restored, this.drawing),
      record.images ? this.editor.tools : make("p", { class: "small" }, "Of so many faces, not all have their pictures."),
      this.error);
    this.show();
  }

  /** Everything that depends on the record. */
  show() {
    const face = this.record;
    this.words.textContent = sentence(face);
    this.hidden.textContent = hiddenSentence(face);
    this.error.textContent = "";
    if (face.images) this.showSteps(face.images);
    this.chart = face.cant_tell ? null : chart(face);
    this.drawing.replaceChildren(...(this.chart ? [this.chart.element] : []));
    if (this.year) this.ask(this.year);
  }

  /** P(age ≥ year), at once. */
  ask(year) {
    this.year = year;
    this.chart?.mark(year);
    const p = atLeast(this.record, year);
    if (p === null) return this.threshold.replaceChildren();
    this.threshold.replaceChildren("At least ", `${year}`, ": ",
      make("data", { value: p.toFixed(4) }, percent(p)), " likely",
      make("meter", { min: 0, max: 1, value: p, "aria-label": `How likely ${this.title} is at least ${year}` }));
  }

  showSteps(images) {
    const face = this.record;
    this.editor.show(images);
    this.restored.replaceChildren();
    if (!images.restored) return;
    const picture = make("img", { src: images.restored, alt: `${this.title}, restored`, width: 256, height: 256 });
    const caption = make("figcaption", {}, `Filled in: ${face.restored_by}`);
    const turns = make("button", { type: "button", onclick: () => this.showTurns(picture, caption, turns) }, "Turn by turn");
    this.restored.append(make("figure", {}, picture, caption), turns);
  }

  async showTurns(picture, caption, button) {
    await this.work(button, "is being filled in", async () => {
      const { crop, mask } = await this.pictures(this.editor.mask.found);
      const { turns, restored, restored_by: by } = await restore(crop, mask, this.settings);
      const all = turns?.length ? turns : [restored];
      const at = newId("turn");
      const told = make("output", { for: at, "aria-live": "off" });
      const slider = make("input", { id: at, type: "range", min: 1, max: all.length, value: all.length });
      const go = () => {
        picture.src = all[slider.value - 1];
        told.value = `${slider.value} of ${all.length}`;
        slider.setAttribute("aria-valuetext", told.value);
      };
      slider.addEventListener("input", go);
      caption.textContent = `Filled in: ${by}`;
      const field = make("div", { class: "turns" }, make("label", { for: at }, "Turn "), told, slider);
      button.replaceWith(field);
      go();
      slider.focus();
      say(`${this.title}: ${all.length === 1 ? "one turn" : `${all.length} turns`}; the slider shows each.`);
    });
  }

  async readAgain(mask) {
    await this.work(null, "is being read again", async () => {
      const { crop, mask: drawn } = await this.pictures(mask.hidden);
      const record = await read(crop, drawn, this.settings);
      // Where the face is in the photo is known from the first reading alone.
      const { box, turn, score, detector, landmarks, quality } = this.record;
      const seen = quality && { ...record.quality, eye_distance: quality.eye_distance, yaw: quality.yaw };
      this.record = { ...record, box, turn, score, detector, landmarks, quality: seen };
      this.show();
      say(`${this.title}: ${sentence(this.record)}`);
    });
  }

  async pictures(flags) {
    const { mask } = this.editor;
    const drawn = Object.assign(Object.create(Object.getPrototypeOf(mask)), { hidden: flags });
    return { crop: blobOf(this.record.images.aligned), mask: await drawn.png() };
  }

  async work(button, what, does) {
    if (button) button.disabled = true;
    this.error.textContent = "";
    this.element.setAttribute("aria-busy", "true");
    say(`${this.title} ${what} …`);
    try {
      await does();
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      this.error.textContent = error.message;
      say("");
    } finally {
      this.element.removeAttribute("aria-busy");
      if (button) button.disabled = false;
    }
  }
}
