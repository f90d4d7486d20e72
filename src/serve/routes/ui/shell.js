// The request that is shown, for a shell.

import { address, classifyPath, hasKey } from "./api.js";
import { byId } from "./text.js";

/** Writes the command that asks what the page asks. */
export function showCurl({ sample, policy, drop }) {
  const target = address(classifyPath({ policy, drop }));
  const curl = hasKey() ? 'curl --oauth2-bearer "$KEY"' : "curl";
  const source = sample ? `${curl} -s '${address(sample.path)}' |\n  ` : "";
  byId("curl").textContent = `${source}${curl} -F image=@${sample ? "-" : "image.png"} '${target}'`;
}

/** Puts the command into the clipboard, or selects it where the browser does not allow that. */
export async function copyCurl() {
  const button = byId("copy");
  const code = byId("curl");
  try {
    await navigator.clipboard.writeText(code.textContent);
    button.textContent = "Copied";
  } catch {
    getSelection().selectAllChildren(code);
    button.textContent = "Selected";
  }
  setTimeout(() => { button.textContent = "Copy"; }, 1500);
}
