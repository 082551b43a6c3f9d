// The server's answers. A token, where one is needed, lives in this module's memory and nowhere else.

import { askForToken } from "./dialogs.js";

let token = null;

/** An error whose message is a sentence for the user. */
export class Refused extends Error {}

/** One photo's record, faces with distribution and pictures: see POST /v1/estimate. */
export async function estimate(file, { occlusion, restorer }) {
  const form = new FormData();
  form.append("photos", file, file.name);
  const query = asked();
  query.set("occlusion", occlusion);
  query.set("restorer", restorer);
  return (await (await post("/v1/estimate", query, form)).json()).photos[0];
}

/** A face's record, read with the mask that was drawn: Blobs of 256×256 PNG, white = hidden. */
export async function read(crop, mask, { restorer }) {
  const query = asked();
  query.set("restorer", restorer);
  return (await post("/v1/read", query, faceForm(crop, mask))).json();
}

/** {restored, turns, restored_by}: the crop filled in, turn by turn, as data URIs. */
export async function restore(crop, mask, { restorer }) {
  const query = new URLSearchParams({ turns: "true" });
  query.set("restorer", restorer);
  return (await post("/v1/restore", query, faceForm(crop, mask))).json();
}

/** The self-contained HTML report of photos, a Blob. */
export async function report(files, { occlusion, restorer }) {
  const form = new FormData();
  for (const file of files) form.append("photos", file, file.name);
  return (await post("/v1/report", new URLSearchParams({ occlusion, restorer }), form)).blob();
}

function asked() {
  return new URLSearchParams([["include", "distribution"], ["include", "images"]]);
}

function faceForm(crop, mask) {
  const form = new FormData();
  form.append("crop", crop, "crop.png");
  form.append("mask", mask, "mask.png");
  return form;
}

async function post(path, query, body) {
  for (let wrong = false; ; wrong = true) {
    const used = token;
    const answer = await send(`${path}?${query}`, body, used);
    if (answer.ok) return answer;
    if (answer.status !== 401) throw new Refused(await sentence(answer));
    if (token === used) token = await askForToken(wrong);
    if (token === null) throw new Refused("The server wants a token; give it and send the photo again.");
  }
}

async function send(url, body, bearer) {
  const headers = bearer ? { Authorization: `Bearer ${bearer}` } : {};
  try {
    return await fetch(url, { method: "POST", body, headers, credentials: "same-origin" });
  } catch {
    throw new Refused("The server doesn’t answer; is spiralage serve still running?");
  }
}

async function sentence(answer) {
  try {
    const { error } = await answer.json();
    if (typeof error === "string" && error) return error;
  } catch {
    // no JSON: the status has to do
  }
  if (answer.status === 503) return "The server is busy; try again in a moment.";
  return `The server answered ${answer.status}; try again, or ask whoever started it.`;
}
