/* SPDX-License-Identifier: GPL-2.0 */
#ifndef TREE_COMPEL_LOG_H
#define TREE_COMPEL_LOG_H

/* compel's messages go where ours go from now on. */
void compel_log_begin(void);

#endif
