# SPDX-License-Identifier: GPL-2.0
# Programs that play restored tasks against the lazy-pages daemon; they need root.

LAZY_TESTS := $(patsubst test/lazy/%.c,build/lazy-tests/%,$(wildcard test/lazy/*.c))

build/lazy-tests/%: test/lazy/%.c build/release/libcore.a
	@mkdir -p $(@D)
	@echo "  LINK    $@"
	$(Q)$(CC) $(BASE_CFLAGS) $(CFLAGS) $(INCLUDES) -Ibuild/proto $(PKG_CFLAGS) -o $@ $< build/release/libcore.a $(LIBS)

lazy-tests: $(LAZY_TESTS)
.PHONY: lazy-tests
