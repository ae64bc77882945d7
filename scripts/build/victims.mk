# SPDX-License-Identifier: GPL-2.0
# The programs that tests dump and restore: plain C, one file each, none of our code in them.

VICTIMS := $(patsubst test/victims/%.c,build/victims/%,$(wildcard test/victims/*.c))
VICTIM_CFLAGS := -std=gnu11 -D_GNU_SOURCE -O1 -g -Wall -Wextra -Werror -Wno-unused-parameter -Wno-format-truncation

build/victims/%: test/victims/%.c test/victims/victim.h
	@mkdir -p $(@D)
	@echo "  VICTIM  $@"
	$(Q)$(CC) $(VICTIM_CFLAGS) -o $@ $< -lpthread -lrt -lm

victims: $(VICTIMS)
.PHONY: victims
