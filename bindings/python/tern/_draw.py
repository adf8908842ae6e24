# SPDX-License-Identifier: Apache-2.0
"""Draws what was found on a picture, with PIL."""
import math

import numpy as np

from ._vision import Track, _bytes_of, open_picture

_COLOURS = ("#e6194b", "#3cb44b", "#4363d8", "#f58231", "#911eb4", "#008080", "#f032e6", "#9a6324", "#800000", "#808000", "#000075")
_MASK = 0.45  # how much of a pixel's colour is that of its mask
_SEEN = 0.5   # least visibility of a key point that is drawn


def _colour(number):
    return _COLOURS[number % len(_COLOURS)]


def _font(size):
    from PIL import ImageFont
    try:
        return ImageFont.load_default(size)
    except (TypeError, ImportError, OSError):  # of one size: before Pillow 10.1, or without its library of letters
        return ImageFont.load_default()


def _fits_font(text):
    return all(" " <= c < "\x7f" or "\xa0" < c <= "\xff" for c in text)


class _Labels:
    """Words on a coloured ground, in places that no others have."""

    def __init__(self, canvas, size):
        self.canvas, self.size = canvas, size
        self.font = _font(max(11, round(min(size) / 32)))
        self.taken = []

    def measure(self, text):
        """Width and height with a margin, and where in it the letters begin."""
        x0, y0, x1, y1 = self.canvas.textbbox((0, 0), text, font=self.font)
        top, bottom = self.canvas.textbbox((0, 0), "Ag|", font=self.font)[1::2]
        return x1 - x0 + 6, bottom - top + 4, (3 - x0, 2 - top)

    def draw(self, text, box, colour, inside, beside=False):
        """Above the box, or below it, or beside others within it; inside: the box is the picture, whose corner is the place; beside:
        best at its left."""
        width, height, (dx, dy) = self.measure(text)
        x0, y0, x1, y1 = box
        places = [] if inside else [(x0 - width, y0)] * beside + [(x0, y0 - height), (x0, y1), (x1 - width, y0 - height)]
        places += [(x0, y0 + k * height) for k in range(max(1, int(self.size[1] // height)))]
        for x, y in places:
            x, y = max(0, min(x, self.size[0] - width)), max(0, min(y, self.size[1] - height))
            tag = (x, y, x + width, y + height)
            if all(tag[0] >= t[2] or tag[2] <= t[0] or tag[1] >= t[3] - 1 or tag[3] - 1 <= t[1] for t in self.taken):
                break
        else:
            return  # the picture is full of them
        self.taken.append(tag)
        self.canvas.rectangle((tag[0], tag[1], tag[2] - 1, tag[3] - 1), fill=colour)
        self.canvas.text((x + dx, y + dy), text, fill="white", font=self.font)


def _words(thing, number, others, labels):
    """What stands at a thing; "" for nothing."""
    if isinstance(thing, Track):
        return f"{thing.id} {thing.name}".strip() if _fits_font(thing.name) else str(thing.id)
    if thing.text is not None:
        # What runs down, has other letters or would hide another line has its number.
        (ax, ay), (bx, by) = thing.corners[:2].tolist() if thing.corners is not None else (thing.box[:2], (thing.box[2], thing.box[1]))
        if abs(bx - ax) < abs(by - ay) or not _fits_font(thing.text):
            return str(number + 1)
        width, height, _ = labels.measure(thing.text)
        x0, y0 = thing.box[:2]
        hides = any(min(o.box[2], x0 + width) - max(o.box[0], x0) > 1 and min(o.box[3], y0) - max(o.box[1], y0 - height) > 1 for o in others)
        return str(number + 1) if hides else thing.text
    if thing.kind in ("keypoints", "segmenter", "embedder"):
        return ""
    name = thing.name if thing.name and _fits_font(thing.name) else f"class {thing.label}"
    return f"{name} {thing.score:.0%}"


def _draw_points(canvas, thing, colour, width, size):
    """Those that are seen, and the skeleton between them; small where the thing is small or has many."""
    seen = {i: (k.x, k.y) for i, k in enumerate(thing.keypoints) if k.visibility >= _SEEN and math.isfinite(k.x + k.y)}
    if not seen:
        return
    xs, ys = zip(*seen.values())
    extent = max(max(xs) - min(xs), max(ys) - min(ys), 1)
    scale = min(max(extent / (0.6 * max(size)), 0.6), 1, extent / (8 * math.sqrt(len(seen)) * width))
    line, dot = max(1, round(width * scale)), max(0.7, 1.5 * width * scale)
    for a, b in thing.skeleton:
        if a in seen and b in seen:
            canvas.line([seen[a], seen[b]], fill=colour, width=line)
    for x, y in seen.values():
        canvas.ellipse([x - dot, y - dot, x + dot, y + dot], fill=colour, outline="white" if dot > 3 else None)


def draw(image, results, order="rgb"):
    """A PIL picture with all that was found drawn on it. image, order: as for a Vision; results: what a Vision or a Tracker gave for it, or
    some of it. Masks, classes of pixels, boxes, key points that are seen, names and scores, text, numbers of tracks. Text in letters that
    the font lacks stands as the number of its line, from 1."""
    from PIL import Image, ImageDraw
    out = _bytes_of(open_picture(image, order))
    if out.mode == "RGBA":
        out = Image.alpha_composite(Image.new("RGBA", out.size, "white"), out)
    out = out.convert("RGB")
    width = max(2, round(min(out.size) / 250))
    things = list(enumerate(results))[::-1]  # the best on top
    colours = {i: _colour(r.id if isinstance(r, Track) else i if r.keypoints or r.mask is not None or r.text is not None else r.label)
               for i, r in things}
    class_map = getattr(results, "class_map", None)
    classes = np.unique(class_map[class_map > 0]).tolist() if class_map is not None else []
    for c in classes:
        out.paste(_colour(c), None, Image.fromarray(((class_map == c) * 255 * _MASK).astype(np.uint8)))
    for i, r in things:
        if getattr(r, "mask", None) is not None and r.mask.size:
            out.paste(colours[i], r.mask_at, Image.fromarray((r.mask * _MASK).astype(np.uint8)))
    canvas = ImageDraw.Draw(out)
    whole = lambda r: r.box[0] <= 0 and r.box[1] <= 0 and r.box[2] >= out.width and r.box[3] >= out.height
    for i, r in things:
        if getattr(r, "corners", None) is not None:
            corners = [tuple(c) for c in r.corners.tolist()]
            canvas.line(corners + corners[:1], fill=colours[i], width=width, joint="curve")
        elif getattr(r, "kind", "") != "keypoints" and not whole(r):
            canvas.rectangle(r.box, outline=colours[i], width=width)
    for i, r in things:
        if getattr(r, "keypoints", ()):
            _draw_points(canvas, r, colours[i], width, out.size)
    labels = _Labels(canvas, out.size)
    for c in classes:
        name = results.names.get(c) or f"class {c}"
        labels.draw(name if _fits_font(name) else f"class {c}", (0, 0, *out.size), _colour(c), True)
    for i, r in reversed(things):  # the best choose their places
        text = _words(r, i, [o for k, o in things if k != i], labels)
        if text:
            labels.draw(text, r.box, colours[i], whole(r), getattr(r, "text", None) not in (None, text))
    return out
