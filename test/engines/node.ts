/** What the tests of tfjs-node share: whether it can run here. */
import { findNodePackage, loadNodePackage } from "../../lib/engines/tfjs/node/package.ts";

/** Why tfjs-node does not run here, empty where it does; tests never install it. */
function whyNot(): string {
  if (findNodePackage("tfjs-node") === undefined) return "tfjs-node is not installed";
  try {
    loadNodePackage("tfjs-node");
    return "";
  } catch (error) {
    return (error as Error).message;
  }
}

const reason = whyNot();

/** Whether tfjs-node runs here. */
export const nodeHere: boolean = reason === "";

/** The reason in the name of a test that is left out. */
export const nodeNote: string = nodeHere ? "" : ` (left out: ${reason})`;
