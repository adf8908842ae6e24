# SPDX-License-Identifier: Apache-2.0
# Says who is who in a video, a folder of frames or what a camera sees:  track.py MODEL.tern VIDEO
import sys

import tern

# Boxes that the detector is unsure of keep a track alive; from which score on one begins depends on the detector.
detector, tracker = tern.Vision(sys.argv[1], min_score=0.1), tern.Tracker(high_score=0.3)
for frame in tern.frames(sys.argv[2]):
    for t in tracker(detector(frame)):
        print(t.id, t.name, *map(round, t.box))
