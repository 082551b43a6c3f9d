// One photo: the picture with its faces boxed and numbered, and a card for each face.

import { Refused, estimate } from "./api.js";
import { make, newId, say, svg } from "./dom.js";
import { FaceCard } from "./face.js";
import { count } from "./words.js";

/** The card of a photo; ``record`` is null until it was read. */
export class PhotoCard {
  constructor(file, settings) {
    this.file = file;
    this.settings = settings;
    this.record = null;
    this.faces = [];
    this.address = URL.createObjectURL(file);
    const heading = newId("photo");
    this.note = make("p", { class: "note" }, "Waiting to be read …");
    this.picture = make("img", { alt: file.name, src: this.address });
    this.boxes = svg("svg", { class: "boxes", "aria-hidden": "true" });
    this.frame = make("div", { class: "photo-frame" }, this.picture, this.boxes);
    this.picture.addEventListener("error", () => {
      this.frame.className = "small";
      this.frame.replaceChildren("This browser can’t show a picture of this kind.");
    });
    this.picture.addEventListener("load", () => this.drawBoxes());
    this.cards = make("div", { class: "faces" });
    this.element = make("section", { class: "panel photo", "aria-labelledby": heading, "aria-busy": "true" },
      make("h2", { id: heading }, file.name), this.note, this.frame, this.cards);
  }

  /** Send the photo and show what comes; whatever goes wrong is a sentence on the card. */
  async read() {
    this.note.textContent = "Being read …";
    say(`${this.file.name} is being read …`);
    try {
      this.record = await estimate(this.file, this.settings);
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      this.record = { image: this.file.name, faces: [], error: error.message };
    }
    this.show();
    this.element.removeAttribute("aria-busy");
  }

  show() {
    const { faces, error } = this.record;
    const found = faces.length ? count(faces.length, "face", "faces") : "No face found.";
    this.note.textContent = error || found;
    this.note.classList.toggle("error", Boolean(error));
    if (error) this.frame.remove();
    this.picture.alt = `${this.file.name}, ${faces.length ? "each face boxed and numbered" : "no face found"}`;
    this.faces = faces.map((face, i) => new FaceCard(face, i + 1, this.file.name, this.settings));
    this.cards.append(...this.faces.map((face) => face.element));
    this.drawBoxes();
    say(`${this.file.name}: ${error || found}`);
  }

  drawBoxes() {
    const { naturalWidth: width, naturalHeight: height } = this.picture;
    if (!width || !this.record) return;
    this.boxes.setAttribute("viewBox", `0 0 ${width} ${height}`);
    const unit = Math.max(width, height) / 100; // marks are as large on a small photo as on a large one
    this.boxes.replaceChildren(...this.record.faces.flatMap(({ box: [x, y, w, h] }, i) => [
      svg("rect", { class: "box-under", x, y, width: w, height: h, "stroke-width": 1.1 * unit }),
      svg("rect", { class: "box", x, y, width: w, height: h, "stroke-width": 0.6 * unit }),
      svg("circle", { class: "box-dot", cx: x, cy: y, r: 3.6 * unit }),
      svg("text", { class: "box-number", x, y: y + 1.7 * unit, "font-size": 4.8 * unit, "text-anchor": "middle" }, `${i + 1}`),
    ]));
  }

  /** Give up what the browser keeps for it. */
  forget() {
    URL.revokeObjectURL(this.address);
    this.element.remove();
  }

  /** The record for a download: what was asked, without pictures. */
  json(year) {
    const faces = this.faces.map(({ record }) => {
      const { images, p_at_least_all: all, ...kept } = record;
      return { ...kept, p_at_least: { [year]: all?.[year] ?? null } };
    });
    return { image: this.file.name, faces, error: this.record ? this.record.error : "not read yet" };
  }
}
