// The two dialogs: a token that the server wants, and the camera.

const byId = (id) => document.getElementById(id);
let asking = null;

/** Ask for the bearer token; null where the user gives none. Several requests share one question. */
export function askForToken(wrong) {
  asking ??= new Promise((resolve) => {
    const dialog = byId("token-dialog");
    const field = byId("token");
    byId("token-title").textContent = wrong ? "This token was refused" : "A token is needed";
    let given = null;
    byId("token-form").onsubmit = () => { given = field.value; };
    byId("token-cancel").onclick = () => dialog.close();
    dialog.onclose = () => {
      field.value = "";
      asking = null;
      resolve(given);
    };
    dialog.showModal();
  });
  return asking;
}

/** Open the camera, which is asked for only now; onPhoto gets a File for every picture that is taken. */
export async function openCamera(onPhoto) {
  const dialog = byId("camera-dialog");
  const view = byId("camera-view");
  const take = byId("camera-take");
  let stream = null;
  let closed = false;
  byId("camera-error").textContent = "";
  take.disabled = true;
  byId("camera-close").onclick = () => dialog.close();
  dialog.onclose = () => {
    closed = true;
    stream?.getTracks().forEach((track) => track.stop());
    view.srcObject = null;
  };
  take.onclick = async () => {
    onPhoto(await still(view));
    dialog.close();
  };
  dialog.showModal();
  try {
    if (!navigator.mediaDevices) throw new DOMException("", "SecurityError");
    stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "user", width: { ideal: 1280 } } });
    if (closed) return stream.getTracks().forEach((track) => track.stop());
    view.srcObject = stream;
    await view.play();
    take.disabled = false;
  } catch (error) {
    if (!closed) byId("camera-error").textContent = reason(error.name);
  }
}

function reason(name) {
  if (name === "NotAllowedError") return "The camera was refused; allow it in the browser’s address bar, or choose a file.";
  if (name === "NotFoundError") return "No camera was found; choose a file instead.";
  if (name === "SecurityError") return "Browsers give the camera only to pages over https or on this machine; choose a file instead.";
  return "The camera can’t be opened; is another program using it?";
}

async function still(view) {
  const canvas = document.createElement("canvas");
  canvas.width = view.videoWidth;
  canvas.height = view.videoHeight;
  canvas.getContext("2d").drawImage(view, 0, 0);
  const blob = await new Promise((resolve) => canvas.toBlob(resolve, "image/png"));
  return new File([blob], `camera ${new Date().toLocaleTimeString()}.png`, { type: "image/png" });
}
