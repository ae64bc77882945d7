# SPDX-License-Identifier: GPL-2.0
# The same objects in two variants: build/release, and build/sanitize for unit tests.

SANITIZE := -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer

define variant
build/$(1)/%.o: %.c | $(PROTO_HDRS) $(BLOB_HDRS)
	@mkdir -p $$(@D)
	@echo "  CC      $$@"
	$$(Q)$$(CC) $$(BASE_CFLAGS) $(2) $$(INCLUDES) -Ibuild/proto -Ibuild/blob $$(PKG_CFLAGS) $$(CPPFLAGS) -MMD -MP -c -o $$@ $$<
build/$(1)/%.o: %.S | $(BLOB_HDRS)
	@mkdir -p $$(@D)
	@echo "  AS      $$@"
	$$(Q)$$(CC) $(2) $$(INCLUDES) -Ibuild/blob -MMD -MP -c -o $$@ $$<
build/$(1)/proto/%.o: build/proto/%.pb-c.c | $(PROTO_HDRS)
	@mkdir -p $$(@D)
	@echo "  CC      $$@"
	$$(Q)$$(CC) -std=gnu11 $(2) -Ibuild/proto $$(PKG_CFLAGS) -c -o $$@ $$<
$(1)_OBJS := $$(CORE_SRCS:%.c=build/$(1)/%.o) \
	$$(patsubst %.S,build/$(1)/%.o,$$(COMPEL_SRCS:%.c=build/$(1)/%.o)) \
	$$(PROTOS:images/%.proto=build/$(1)/proto/%.o)
build/$(1)/libcore.a: $$($(1)_OBJS)
	@echo "  AR      $$@"
	@rm -f $$@
	$$(Q)ar rcs $$@ $$^
-include $$(patsubst %.o,%.d,$$($(1)_OBJS)) build/$(1)/criu-lazy/main.d
endef

$(eval $(call variant,release,$$(CFLAGS)))
$(eval $(call variant,sanitize,-O1 -g $(SANITIZE)))

build/sanitize/unit/%: test/unit/%.c build/sanitize/libcore.a
	@mkdir -p $(@D)
	@echo "  LINK    $@"
	$(Q)$(CC) $(BASE_CFLAGS) -O1 -g $(SANITIZE) $(INCLUDES) -Itest/unit -Ibuild/proto -Ibuild/blob $(PKG_CFLAGS) -o $@ $< build/sanitize/libcore.a $(LIBS)
