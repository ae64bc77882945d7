# SPDX-License-Identifier: GPL-2.0
# Manual pages from asciidoc, and the shell completion from the option table.

MAN_SRCS := $(wildcard Documentation/criu-lazy*.adoc)
MAN_PAGES := $(MAN_SRCS:Documentation/%.adoc=build/man/%.8)
ASCIIDOCTOR := $(shell command -v asciidoctor)

build/man/%.8: Documentation/%.adoc
	@mkdir -p $(@D)
	@echo "  MAN     $@"
	$(Q)$(ASCIIDOCTOR) -q -b manpage -D build/man $<

build/criu-lazy.bash: $(BIN) scripts/build/completion
	@mkdir -p $(@D)
	$(Q)$(BIN) --help | scripts/build/completion > $@.tmp && mv $@.tmp $@

man: $(if $(ASCIIDOCTOR),$(MAN_PAGES))

install: all man build/criu-lazy.bash
	install -D -m 0755 $(BIN) $(DESTDIR)$(SBINDIR)/criu-lazy
	install -D -m 0644 build/criu-lazy.bash $(DESTDIR)$(BASHCOMPDIR)/criu-lazy
ifneq ($(ASCIIDOCTOR),)
	install -d $(DESTDIR)$(MANDIR)/man8
	install -m 0644 $(MAN_PAGES) $(DESTDIR)$(MANDIR)/man8/
else
	@echo "asciidoctor is not installed: no manual pages"
endif

uninstall:
	rm -f $(DESTDIR)$(SBINDIR)/criu-lazy $(DESTDIR)$(BASHCOMPDIR)/criu-lazy
	rm -f $(MAN_PAGES:build/man/%=$(DESTDIR)$(MANDIR)/man8/%)

.PHONY: man
