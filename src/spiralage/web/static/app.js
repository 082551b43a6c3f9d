// The page: photos come in, cards go out.

import { Refused, report } from "./api.js";
import { openCamera } from "./dialogs.js";
import { make, say } from "./dom.js";
import { PhotoCard } from "./photo.js";

const byId = (id) => document.getElementById(id);
const threshold = byId("threshold");
let cards = [];
let queue = Promise.resolve();

const chosen = () => ({ occlusion: byId("occlusion").value, restorer: byId("restorer").value });

function take(files) {
  const settings = chosen();
  for (const file of files) {
    const card = new PhotoCard(file, settings);
    cards.push(card);
    byId("photos").append(card.element);
    // One after the other: the first answer comes soonest, and the server isn't flooded.
    queue = queue.then(() => (cards.includes(card) ? card.read() : null)).then(ask);
  }
  show();
}

function show() {
  byId("downloads").hidden = cards.length === 0;
  byId("threshold-panel").hidden = !cards.some((card) => card.faces.length);
}

function ask() {
  const year = Number(threshold.value);
  byId("threshold-value").value = `${year} years`;
  threshold.setAttribute("aria-valuetext", `${year} years`);
  for (const card of cards) card.faces.forEach((face) => face.ask(year));
  show();
}

function save(blob, name) {
  const address = URL.createObjectURL(blob);
  make("a", { href: address, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
}

async function saveReport(event) {
  const button = event.currentTarget;
  button.disabled = true;
  say("The report is being written …");
  try {
    save(await report(cards.map((card) => card.file), chosen()), "spiralage-report.html");
    say("The report is saved: all photos read with the settings of now, without what was drawn.");
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    say(error.message);
  } finally {
    button.disabled = false;
  }
}

function saveJson() {
  const records = cards.map((card) => card.json(Number(threshold.value)));
  save(new Blob([JSON.stringify(records, null, 2)], { type: "application/json" }), "spiralage.json");
}

function forget() {
  cards.forEach((card) => card.forget());
  cards = [];
  show();
  say("All photos are forgotten.");
  byId("choose").focus();
}

function dropping(on) {
  byId("give").classList.toggle("dropping", on);
}

byId("choose").addEventListener("click", () => byId("files").click());
byId("files").addEventListener("change", (event) => {
  take(event.target.files);
  event.target.value = "";
});
byId("camera").addEventListener("click", () => openCamera((file) => take([file])));
byId("save-json").addEventListener("click", saveJson);
byId("save-html").addEventListener("click", saveReport);
byId("forget").addEventListener("click", forget);
threshold.addEventListener("input", ask);
document.addEventListener("paste", (event) => {
  if (event.clipboardData?.files.length) take(event.clipboardData.files);
});
document.addEventListener("dragover", (event) => {
  event.preventDefault();
  dropping(true);
});
document.addEventListener("dragleave", (event) => {
  if (!event.relatedTarget) dropping(false);
});
document.addEventListener("drop", (event) => {
  event.preventDefault();
  dropping(false);
  take(event.dataTransfer.files);
});
