// What is said of a face, in plain words.

/** The answer in one sentence. */
export function sentence(face) {
  if (face.cant_tell) return `Can’t tell: ${face.cant_tell}.`;
  const [low, high] = face.interval.map(Math.round);
  const how = face.calibrated ? "" : " (not calibrated)";
  return `About ${Math.round(face.age)}, between ${low} and ${high} in nine of ten cases${how}.`;
}

/** What is hidden, and what was done about it. */
export function hiddenSentence(face) {
  if (face.hidden === 0) return "Nothing of it is hidden.";
  const filled = face.restored_by === "none" ? "It was not filled in." : `It was filled in by ${face.restored_by} before the age was read.`;
  return `${wholePercent(face.hidden)} of the picture is hidden${source(face.hidden_by)}. ${filled}`;
}

function source(kind) {
  if (kind === "frame") return ", beyond the photo’s edge";
  if (kind === "found") return ", as found by itself";
  if (kind === "given") return ", as you drew it";
  return "";
}

/** P(age ≥ year) as the server tells it, calibrated where that is so. Null = it can't tell. */
export function atLeast(face, year) {
  return face.cant_tell ? null : face.p_at_least_all[year];
}

/** 0.934 → "93.4 %"; never 100 % nor 0 % for what is not quite so. */
export function percent(part) {
  if (part > 0 && part < 0.001) return "< 0.1 %";
  if (part < 1 && part > 0.999) return "> 99.9 %";
  return `${(100 * part).toFixed(part === 0 || part === 1 ? 0 : 1)} %`;
}

/** 0.25 → "25 %"; a little is never nothing. */
export function wholePercent(part) {
  return part > 0 && part < 0.005 ? "< 1 %" : `${Math.round(100 * part)} %`;
}

/** "3 faces" */
export function count(number, one, many) {
  return `${number} ${number === 1 ? one : many}`;
}
