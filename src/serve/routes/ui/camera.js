// A snapshot from the camera, cut to the shape of the network's input.

import { byId } from "./text.js";

/** A snapshot has at most this many pixels for one of the network's, along each side. */
const DETAIL = 4;

let stream;

/** Offers the camera where the browser has one; `onSnapshot(blob)` gets each picture. */
export async function mountCamera(input, onSnapshot) {
  byId("camera").hidden = !(await hasCamera());
  byId("camera").onclick = openCamera;
  byId("camera-cancel").onclick = closeCamera;
  byId("camera-take").onclick = async () => {
    const picture = await snapshot(byId("camera-video"), input);
    closeCamera();
    if (picture) onSnapshot(picture);
  };
}

async function hasCamera() {
  const devices = await navigator.mediaDevices?.enumerateDevices().catch(() => []);
  return Boolean(devices?.some(({ kind }) => kind === "videoinput"));
}

async function openCamera() {
  const video = byId("camera-video");
  try {
    stream ??= await navigator.mediaDevices.getUserMedia({ video: { facingMode: "user" } });
  } catch {
    byId("camera-note").textContent = "The browser gives no picture: allow the camera for this page.";
    return;
  }
  byId("camera-note").textContent = "";
  byId("camera-panel").hidden = false;
  video.srcObject = stream;
  await video.play();
  byId("camera-take").focus();
}

function closeCamera() {
  for (const track of stream?.getTracks() ?? []) track.stop();
  stream = undefined;
  byId("camera-video").srcObject = null;
  byId("camera-panel").hidden = true;
  byId("camera").focus();
}

/** The largest middle part of the picture that has the shape of the input, as PNG. */
function snapshot(video, input) {
  const { videoWidth: width, videoHeight: height } = video;
  if (!width || !height) return undefined;
  const scale = Math.min(width / input.width, height / input.height);
  const [cutWidth, cutHeight] = [input.width * scale, input.height * scale];
  const size = Math.min(1, DETAIL / scale);
  const canvas = Object.assign(document.createElement("canvas"), { width: Math.round(cutWidth * size), height: Math.round(cutHeight * size) });
  const from = [(width - cutWidth) / 2, (height - cutHeight) / 2, cutWidth, cutHeight];
  canvas.getContext("2d").drawImage(video, ...from, 0, 0, canvas.width, canvas.height);
  return new Promise((resolve) => canvas.toBlob(resolve, "image/png"));
}
