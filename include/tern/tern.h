/* SPDX-License-Identifier: Apache-2.0 */
/* Tern: runs and fine-tunes models on the device. The whole API but the importer (tern/import.h). C99.
 *
 * Every call that can fail returns tern_status; tern_last_error tells what was wrong, where and what to do. On an error
 * output parameters are untouched and nothing has to be freed. tern_X_release(NULL) does nothing. */
#ifndef TERN_TERN_H
#define TERN_TERN_H

#include "tern/trainer.h"
#include "tern/generator.h"
#include "tern/vision.h"
#include "tern/track.h"
#include "tern/chat.h"
#include "tern/data.h"

#endif
