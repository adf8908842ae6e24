/* SPDX-License-Identifier: Apache-2.0
 * decode_picture IN OUT: writes IN (JPEG, PNG) as 8-bit RGB in PPM, decoded by stb_image as the command and the
 * samples do it. JPEG decoders differ by up to 3 levels a pixel, which moves a landmark by up to 3 pixels: so the
 * goldens are made from the same decoder's pixels. */
#define STB_IMAGE_IMPLEMENTATION
#include <stb/stb_image.h>
#include <stdio.h>

int main(int argc, char** argv) {
  int width = 0, height = 0, channels = 0;
  unsigned char* pixels = argc == 3 ? stbi_load(argv[1], &width, &height, &channels, 3) : NULL;
  FILE* out = pixels ? fopen(argv[2], "wb") : NULL;
  if (!out) return 1;
  fprintf(out, "P6\n%d %d\n255\n", width, height);
  const size_t n = (size_t)width * (size_t)height * 3;
  return fwrite(pixels, 1, n, out) == n && fclose(out) == 0 ? 0 : 1;
}
