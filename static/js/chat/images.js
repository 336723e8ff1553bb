// Images of a message: read, made smaller where they are large, and kept as data addresses.
export const MOST = 4;
const TYPES = ["image/png", "image/jpeg", "image/webp", "image/gif"];
// Larger files are not even read.
const MAX_BYTES = 20_000_000;
// Models look at no more than this on the longer side.
const MAX_SIDE = 2_048;
// A picture that is small in both ways is sent as it is.
const SENT_BYTES = 1_500_000;

function read(blob) {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result);
    reader.onerror = () => reject(reader.error);
    reader.readAsDataURL(blob);
  });
}

// Throws an Error whose message is for the person.
export async function load(file) {
  if (!TYPES.includes(file.type)) throw new Error(`${file.name || "This"} is no PNG, JPEG, WebP or GIF image, so it was not added.`);
  if (file.size > MAX_BYTES) throw new Error(`${file.name || "This image"} is larger than 20 MB, so it was not added.`);
  let picture;
  try {
    picture = await createImageBitmap(file);
  } catch {
    throw new Error(`${file.name || "This image"} cannot be read, so it was not added.`);
  }
  const scale = Math.min(1, MAX_SIDE / Math.max(picture.width, picture.height));
  if (scale === 1 && file.size <= SENT_BYTES) return read(file);
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(picture.width * scale));
  canvas.height = Math.max(1, Math.round(picture.height * scale));
  const context = canvas.getContext("2d");
  // JPEG knows no transparency.
  context.fillStyle = "#fff";
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.drawImage(picture, 0, 0, canvas.width, canvas.height);
  const blob = await new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", 0.88));
  return read(blob);
}
