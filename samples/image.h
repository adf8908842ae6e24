/* SPDX-License-Identifier: Apache-2.0
 *
 * Reads, writes and marks pictures, for samples and small tools. One header, C99 and C++; needs only stb (Debian:
 * libstb-dev) and -lm. Include it in one source file of a program.
 *
 * A picture is width * height * 3 bytes, R G B, rows from the top without gaps. Not for two threads at once.
 */
#ifndef TERN_SAMPLES_IMAGE_H
#define TERN_SAMPLES_IMAGE_H

#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Formats beyond these three are left out: fewer decoders meet hostile files. */
#define STB_IMAGE_IMPLEMENTATION
#define STB_IMAGE_STATIC
#define STBI_ONLY_JPEG
#define STBI_ONLY_PNG
#define STBI_ONLY_BMP
#define STBI_NO_STDIO
#define STBI_MAX_DIMENSIONS 65536
#define STB_IMAGE_WRITE_IMPLEMENTATION
#define STB_IMAGE_WRITE_STATIC
#define STBI_WRITE_NO_STDIO
#if defined(__GNUC__)
#pragma GCC diagnostic ignored "-Wunused-function" /* stays: GCC reports these at the end of the source file */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"
#pragma GCC diagnostic ignored "-Wsign-compare"
#endif
#include <stb/stb_image.h>
#include <stb/stb_image_write.h>
#if defined(__GNUC__)
#pragma GCC diagnostic pop
#endif

#define IMAGE_MAX_FILE_BYTES 268435456L /* 256 MiB */
#define IMAGE_MAX_PIXELS 134217728L     /* 128 Mi, a picture of 384 MiB */

/* ---- What an app calls ---- */

/* Why the last call failed: one sentence. Valid until the next call. */
static inline const char* image_error(void);

/* Reads a JPEG, PNG or BMP file, turned upright as its EXIF data say. What is transparent lies on white; of 16 bits a
 * channel the upper 8 count. The caller frees the result with free(). Returns NULL on error and leaves *width and
 * *height alone. The second one reads all that is left of a file or pipe, which the caller closes; name is for errors.
 */
static inline unsigned char* image_read(const char* path, int* width, int* height);
static inline unsigned char* image_read_stream(FILE* file, const char* name, int* width, int* height);

/* Writes a file through a temporary one beside it (path + ".part"), so that an existing file stays whole on error.
 * Return 1, or 0 on error. quality: 1..100; grey: one byte a pixel. */
static inline int image_write_png(const char* path, const unsigned char* rgb, int width, int height);
static inline int image_write_png_grey(const char* path, const unsigned char* grey, int width, int height);
static inline int image_write_jpeg(const char* path, const unsigned char* rgb, int width, int height, int quality);

/* Draw in 0xRRGGBB, cut at the picture's border. Coordinates are pixels; a shape with a NaN is not drawn. */
static inline void image_draw_box(unsigned char* rgb, int width, int height, float x0, float y0, float x1, float y1,
                                  int thickness, unsigned colour);
static inline void image_draw_line(unsigned char* rgb, int width, int height, float x0, float y0, float x1, float y1,
                                   int thickness, unsigned colour);

/* ---- How it works ---- */

static inline char* image_error_text_(void) {
  static char text[512];
  return text;
}

static inline const char* image_error(void) { return image_error_text_(); }

#if defined(__GNUC__)
__attribute__((format(printf, 1, 2)))
#endif
static inline void
image_fail_(const char* format, ...) {
  va_list args;
  va_start(args, format);
  vsnprintf(image_error_text_(), 512, format, args);
  va_end(args);
}

/* All that is left of a file, which may be a pipe, or NULL. */
static inline unsigned char* image_load_(FILE* file, const char* name, size_t* bytes) {
  unsigned char *data = NULL, *grown;
  size_t room = 0, size = 0;
  for (;;) {
    if (size == room) {
      room = room ? 2 * room : 1 << 18;
      grown = size <= IMAGE_MAX_FILE_BYTES ? (unsigned char*)realloc(data, room) : NULL;
      if (!grown) {
        if (size > IMAGE_MAX_FILE_BYTES) image_fail_("%s: larger than %ld bytes", name, IMAGE_MAX_FILE_BYTES);
        else image_fail_("%s: no memory for %ld bytes", name, (long)room);
        break;
      }
      data = grown;
    }
    size += fread(data + size, 1, room - size, file);
    if (ferror(file)) {
      image_fail_("%s: cannot be read: %s", name, errno == EISDIR ? "it is a folder" : strerror(errno));
      break;
    }
    if (!feof(file)) continue;
    if (size > 0 && size <= IMAGE_MAX_FILE_BYTES) {
      *bytes = size;
      return data;
    }
    if (size == 0) image_fail_("%s: the file is empty", name);
    else image_fail_("%s: larger than %ld bytes", name, IMAGE_MAX_FILE_BYTES);
    break;
  }
  free(data);
  return NULL;
}

static inline uint32_t image_number_(const unsigned char* p, int bytes, int big_endian) {
  uint32_t value = 0;
  int i;
  for (i = 0; i < bytes; ++i) value = value << 8 | p[big_endian ? i : bytes - 1 - i];
  return value;
}

/* Orientation 1..8 of a TIFF block; 1 when it has none or is broken. */
static inline int image_tiff_orientation_(const unsigned char* p, size_t bytes) {
  int big_endian;
  uint32_t directory, entries, i;
  if (bytes < 8) return 1;
  if (memcmp(p, "MM\0*", 4) == 0) big_endian = 1;
  else if (memcmp(p, "II*\0", 4) == 0) big_endian = 0;
  else return 1;
  directory = image_number_(p + 4, 4, big_endian);
  if (directory > bytes - 2) return 1;
  entries = image_number_(p + directory, 2, big_endian);
  for (i = 0; i < entries; ++i) {
    const unsigned char* entry;
    uint32_t type, value;
    if (bytes - directory - 2 < 12 * ((size_t)i + 1)) return 1;
    entry = p + directory + 2 + 12 * (size_t)i;
    if (image_number_(entry, 2, big_endian) != 0x0112) continue;
    /* One number of 8, 16 or 32 bits (types 1, 3 and 4) stands in the entry itself, at the left. */
    type = image_number_(entry + 2, 2, big_endian);
    if ((type != 1 && type != 3 && type != 4) || image_number_(entry + 4, 4, big_endian) != 1) return 1;
    value = image_number_(entry + 8, type == 4 ? 4 : (int)(type + 1) / 2, big_endian);
    return value >= 1 && value <= 8 ? (int)value : 1;
  }
  return 1;
}

/* Orientation of a PNG file: the chunk eXIf, which stands before or behind the pixels. */
static inline int image_png_orientation_(const unsigned char* p, size_t bytes) {
  size_t at = 8;
  while (bytes - at >= 12) {
    const uint32_t length = image_number_(p + at, 4, 1);
    const unsigned char* data = p + at + 8;
    if (length > bytes - at - 12) return 1;
    if (memcmp(p + at + 4, "eXIf", 4) == 0) {
      /* as in JPEG files, of some writers */
      const size_t head = length >= 6 && memcmp(data, "Exif\0\0", 6) == 0 ? 6 : 0;
      return image_tiff_orientation_(data + head, length - head);
    }
    at += 12 + (size_t)length;
  }
  return 1;
}

/* Orientation of a JPEG file: looks through its segments up to the first scan. */
static inline int image_jpeg_orientation_(const unsigned char* p, size_t bytes) {
  size_t at = 2;
  while (bytes - at >= 4 && p[at] == 0xFF) {
    const int marker = p[at + 1];
    size_t length;
    if (marker == 0xFF) { /* filling */
      ++at;
      continue;
    }
    if (marker == 0xDA || marker == 0xD9) return 1;
    length = image_number_(p + at + 2, 2, 1); /* counts itself, not the marker */
    if (length < 2 || length > bytes - at - 2) return 1;
    if (marker == 0xE1 && length >= 8 && memcmp(p + at + 4, "Exif\0\0", 6) == 0)
      return image_tiff_orientation_(p + at + 10, length - 8);
    at += 2 + length;
  }
  return 1;
}

static inline int image_orientation_(const unsigned char* p, size_t bytes) {
  if (bytes >= 8 && memcmp(p, "\x89PNG\r\n\x1a\n", 8) == 0) return image_png_orientation_(p, bytes);
  return bytes >= 4 && p[0] == 0xFF && p[1] == 0xD8 ? image_jpeg_orientation_(p, bytes) : 1;
}

/* The end of the Huffman tables in [at, end), or 0 when one has more codes than a byte can name: stb_image writes out
 * of its bounds then. */
static inline size_t image_huffman_end_(const unsigned char* p, size_t at, size_t end) {
  while (at < end) {
    size_t codes = 0;
    int i;
    if (end - at < 17) return 0;
    for (i = 1; i <= 16; ++i) codes += p[at + (size_t)i];
    if (codes > 256 || codes > end - at - 17) return 0;
    at += 17 + codes;
  }
  return at;
}

/* 1 when every Huffman table of a JPEG file is sound; also 1 for other files. Between segments and in the coded data
 * of a scan it looks for the next marker as stb_image does. */
static inline int image_jpeg_is_sound_(const unsigned char* p, size_t bytes) {
  size_t at = 2;
  if (bytes < 2 || p[0] != 0xFF || p[1] != 0xD8) return 1;
  for (;;) {
    int marker;
    size_t length;
    while (at < bytes && p[at] != 0xFF) ++at;
    while (at < bytes && p[at] == 0xFF) ++at;
    if (at >= bytes) return 1;
    marker = p[at++];
    if (marker == 0xD9) return 1;
    if (marker == 0 || marker == 1 || (marker >= 0xD0 && marker <= 0xD8)) continue; /* without a length */
    if (bytes - at < 2) return 1;
    length = image_number_(p + at, 2, 1);
    if (length < 2 || length > bytes - at) return marker != 0xC4;
    if (marker == 0xC4 && image_huffman_end_(p, at + 2, at + length) == 0) return 0;
    at += length;
  }
}

/* 1 for a JPEG file of four channels (CMYK) that does not say in a segment of Adobe how they are meant. */
static inline int image_jpeg_is_unclear_(const unsigned char* p, size_t bytes) {
  int four = 0, adobe = 0;
  size_t at = 2;
  if (bytes < 2 || p[0] != 0xFF || p[1] != 0xD8) return 0;
  while (bytes - at >= 4 && p[at] == 0xFF) {
    const int marker = p[at + 1];
    size_t length;
    if (marker == 0xFF) {
      ++at;
      continue;
    }
    if (marker == 0xDA || marker == 0xD9) break;
    length = image_number_(p + at + 2, 2, 1);
    if (length < 2 || length > bytes - at - 2) break;
    if (marker == 0xEE && length >= 14 && memcmp(p + at + 4, "Adobe", 5) == 0) adobe = 1;
    if (marker >= 0xC0 && marker <= 0xC2 && length >= 8 && p[at + 9] == 4) four = 1;
    at += 2 + length;
  }
  return four && !adobe;
}

static inline unsigned char image_on_white_(unsigned colour, unsigned alpha) {
  return (unsigned char)((colour * alpha + 255 * (255 - alpha) + 127) / 255);
}

/* Pixels of 1 to 4 channels (grey, grey and alpha, R G B, R G B A) as R G B, in the same memory where it suffices.
 * NULL when there is no memory, and the pixels are freed. */
static inline unsigned char* image_to_rgb_(unsigned char* pixels, size_t count, int channels) {
  const int has_alpha = channels == 2 || channels == 4;
  unsigned char* rgb = channels < 3 ? (unsigned char*)malloc(count * 3) : pixels;
  size_t i;
  int c;
  if (channels == 3) return pixels;
  for (i = 0; rgb && i < count; ++i) {
    const unsigned char* from = pixels + i * (size_t)channels;
    const unsigned alpha = has_alpha ? from[channels - 1] : 255;
    for (c = 0; c < 3; ++c) rgb[3 * i + (size_t)c] = image_on_white_(from[channels < 3 ? 0 : c], alpha);
  }
  if (rgb != pixels) stbi_image_free(pixels);
  return rgb;
}

/* Turns and mirrors. Orientations 5..8 swap the sides. */
static inline void image_turn_(const unsigned char* from, int width, int height, int orientation, unsigned char* to) {
  const int swap = orientation >= 5;
  const int out_width = swap ? height : width, out_height = swap ? width : height;
  const int flip_x = orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8;
  const int flip_y = orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7;
  int x, y;
  for (y = 0; y < out_height; ++y) {
    for (x = 0; x < out_width; ++x) {
      const int u = swap ? y : x, v = swap ? x : y;
      const size_t column = (size_t)(flip_x ? width - 1 - u : u), row = (size_t)(flip_y ? height - 1 - v : v);
      memcpy(to, from + (row * (size_t)width + column) * 3, 3);
      to += 3;
    }
  }
}

static inline unsigned char* image_decode_(const char* path, const unsigned char* data, size_t bytes, int* width,
                                           int* height) {
  const int orientation = image_orientation_(data, bytes);
  unsigned char *rgb, *turned;
  int w, h, channels;
  if (!image_jpeg_is_sound_(data, bytes)) {
    image_fail_("%s: the picture is damaged (Huffman table)", path);
    return NULL;
  }
  if (image_jpeg_is_unclear_(data, bytes)) {
    image_fail_("%s: a JPEG picture in CMYK that does not say how its inks are meant; convert it to RGB", path);
    return NULL;
  }
  if (!stbi_info_from_memory(data, (int)bytes, &w, &h, &channels)) {
    image_fail_("%s: is not a JPEG, PNG or BMP picture that can be read (%s)", path, stbi_failure_reason());
    return NULL;
  }
  if (w < 1 || h < 1 || h > IMAGE_MAX_PIXELS / w) {
    image_fail_("%s: %d x %d pixels; at least 1 x 1 and at most %ld in all are possible", path, w, h, IMAGE_MAX_PIXELS);
    return NULL;
  }
  rgb = stbi_load_from_memory(data, (int)bytes, &w, &h, &channels, 0);
  if (!rgb) {
    image_fail_("%s: the picture is damaged (%s)", path, stbi_failure_reason());
    return NULL;
  }
  rgb = image_to_rgb_(rgb, (size_t)w * (size_t)h, channels);
  if (!rgb) {
    image_fail_("%s: no memory for %d x %d pixels", path, w, h);
    return NULL;
  }
  if (orientation != 1) {
    turned = (unsigned char*)malloc((size_t)w * (size_t)h * 3);
    if (!turned) {
      image_fail_("%s: no memory to turn %d x %d pixels", path, w, h);
      stbi_image_free(rgb);
      return NULL;
    }
    image_turn_(rgb, w, h, orientation, turned);
    stbi_image_free(rgb);
    rgb = turned;
  }
  *width = orientation >= 5 ? h : w;
  *height = orientation >= 5 ? w : h;
  return rgb;
}

static inline unsigned char* image_read_stream(FILE* file, const char* name, int* width, int* height) {
  unsigned char *data, *rgb;
  size_t bytes = 0;
  if (!file || !name || !width || !height) {
    image_fail_("image_read_stream: an argument is NULL");
    return NULL;
  }
  data = image_load_(file, name, &bytes);
  if (!data) return NULL;
  rgb = image_decode_(name, data, bytes, width, height);
  free(data);
  return rgb;
}

static inline unsigned char* image_read(const char* path, int* width, int* height) {
  FILE* file;
  unsigned char* rgb;
  if (!path || !width || !height) {
    image_fail_("image_read: an argument is NULL");
    return NULL;
  }
  file = fopen(path, "rb");
  if (!file) {
    image_fail_("%s: %s", path, strerror(errno));
    return NULL;
  }
  rgb = image_read_stream(file, path, width, height);
  fclose(file);
  return rgb;
}

typedef struct image_sink_ {
  FILE* file;
  int failed;
} image_sink_;

static inline void image_sink_write_(void* context, void* data, int bytes) {
  image_sink_* sink = (image_sink_*)context;
  if (bytes > 0 && fwrite(data, 1, (size_t)bytes, sink->file) != (size_t)bytes) sink->failed = 1;
}

/* quality 0 means PNG. */
static inline int image_write_(const char* path, const unsigned char* rgb, int width, int height, int channels,
                               int quality) {
  image_sink_ sink = {NULL, 0};
  char* part;
  int encoded, closed, done = 0;
  if (!path || !rgb || width < 1 || height < 1 || height > IMAGE_MAX_PIXELS / width) {
    image_fail_("image_write: no path, no pixels or a size of %d x %d", width, height);
    return 0;
  }
  part = (char*)malloc(strlen(path) + 6);
  if (!part) {
    image_fail_("%s: no memory", path);
    return 0;
  }
  strcat(strcpy(part, path), ".part");
  sink.file = fopen(part, "wb");
  if (!sink.file) {
    image_fail_("%s: %s", part, strerror(errno));
  } else {
    encoded = quality == 0
                  ? stbi_write_png_to_func(image_sink_write_, &sink, width, height, channels, rgb, width * channels)
                  : stbi_write_jpg_to_func(image_sink_write_, &sink, width, height, 3, rgb, quality);
    closed = fclose(sink.file) == 0;
    if (!encoded) image_fail_("%s: could not be encoded", path);
    else if (sink.failed || !closed) image_fail_("%s: could not be written; is the disk full?", part);
    else if (rename(part, path) != 0) image_fail_("%s: %s", path, strerror(errno));
    else done = 1;
    if (!done) remove(part);
  }
  free(part);
  return done;
}

static inline int image_write_png(const char* path, const unsigned char* rgb, int width, int height) {
  return image_write_(path, rgb, width, height, 3, 0);
}

static inline int image_write_png_grey(const char* path, const unsigned char* grey, int width, int height) {
  return image_write_(path, grey, width, height, 1, 0);
}

static inline int image_write_jpeg(const char* path, const unsigned char* rgb, int width, int height, int quality) {
  return image_write_(path, rgb, width, height, 3, quality < 1 ? 1 : quality > 100 ? 100 : quality);
}

static inline int image_cut_(float v, int limit) { return v >= (float)limit ? limit : v > 0 ? (int)v : 0; } /* NaN: 0 */

/* Pixels [x0, x1) x [y0, y1). */
static inline void image_fill_(unsigned char* rgb, int width, int height, float x0, float y0, float x1, float y1,
                               unsigned colour) {
  int x, y;
  const int left = image_cut_(x0, width), right = image_cut_(x1, width);
  const int top = image_cut_(y0, height), bottom = image_cut_(y1, height);
  for (y = top; y < bottom; ++y) {
    for (x = left; x < right; ++x) {
      unsigned char* p = rgb + ((size_t)y * (size_t)width + (size_t)x) * 3;
      p[0] = (unsigned char)(colour >> 16);
      p[1] = (unsigned char)(colour >> 8);
      p[2] = (unsigned char)colour;
    }
  }
}

static inline void image_draw_box(unsigned char* rgb, int width, int height, float x0, float y0, float x1, float y1,
                                  int thickness, unsigned colour) {
  const float t = (float)(thickness < 1 ? 1 : thickness);
  if (!rgb || !(x0 <= x1) || !(y0 <= y1)) return;
  image_fill_(rgb, width, height, x0, y0, x1, y0 + t, colour);
  image_fill_(rgb, width, height, x0, y1 - t, x1, y1, colour);
  image_fill_(rgb, width, height, x0, y0, x0 + t, y1, colour);
  image_fill_(rgb, width, height, x1 - t, y0, x1, y1, colour);
}

static inline void image_draw_line(unsigned char* rgb, int width, int height, float x0, float y0, float x1, float y1,
                                   int thickness, unsigned colour) {
  const float t = (float)(thickness < 1 ? 1 : thickness);
  const float dx = x1 - x0, dy = y1 - y0;
  const float length = (dx < 0 ? -dx : dx) > (dy < 0 ? -dy : dy) ? (dx < 0 ? -dx : dx) : (dy < 0 ? -dy : dy);
  int i, steps;
  if (!rgb || !(length <= 1e6f)) return; /* also NaN; no picture is that large */
  steps = (int)length + 1;
  for (i = 0; i <= steps; ++i) {
    const float x = x0 + dx * (float)i / (float)steps - t / 2, y = y0 + dy * (float)i / (float)steps - t / 2;
    image_fill_(rgb, width, height, x, y, x + t, y + t, colour);
  }
}

#endif
