# SPDX-License-Identifier: GPL-2.0
# Fuzzers (test/fuzz). make unit runs each for a moment with its own driver; make fuzz builds them
# with libFuzzer, to be run as build/fuzz/NAME -max_total_time=60 /path/to/CORPUS.

FUZZ_COMMON := fuzz common driver libfuzzer
FUZZERS := $(filter-out $(FUZZ_COMMON),$(patsubst test/fuzz/%.c,%,$(wildcard test/fuzz/*.c)))
# plan needs a set of images.
FUZZ_SMOKE := $(patsubst %,build/sanitize/fuzz/%,$(filter-out plan,$(FUZZERS)))
FUZZ_FLAGS := -O1 -g -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all

$(eval $(call variant,fuzzer,$(FUZZ_FLAGS)))
build/fuzzer/%.o build/fuzz/%: CC := clang

build/sanitize/fuzz/%: test/fuzz/%.c test/fuzz/driver.c test/fuzz/common.c test/fuzz/fuzz.h build/sanitize/libcore.a
	@mkdir -p $(@D)
	@echo "  LINK    $@"
	$(Q)$(CC) $(BASE_CFLAGS) -O1 -g $(SANITIZE) $(INCLUDES) -Itest/fuzz -Ibuild/proto $(PKG_CFLAGS) -o $@ $(filter %.c,$^) build/sanitize/libcore.a $(LIBS)

build/fuzz/%: test/fuzz/%.c test/fuzz/libfuzzer.c test/fuzz/common.c test/fuzz/fuzz.h build/fuzzer/libcore.a
	@mkdir -p $(@D)
	@echo "  LINK    $@"
	$(Q)$(CC) $(BASE_CFLAGS) $(FUZZ_FLAGS) -fsanitize=fuzzer $(INCLUDES) -Itest/fuzz -Ibuild/proto $(PKG_CFLAGS) -o $@ $(filter %.c,$^) build/fuzzer/libcore.a $(LIBS)

fuzz: $(FUZZERS:%=build/fuzz/%)
.PHONY: fuzz
