// SPDX-License-Identifier: GPL-2.0
#include "transport/tls_library.h"

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdbool.h>

#include "util/log.h"

/* The ABI of GnuTLS 3.x: symbols were only ever added to it. */
#define SONAME "libgnutls.so.30"

static struct tls_library library; /* written once, under once */
static bool is_loaded;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static bool find(void *handle, const char *name, void *pointer)
{
	void *symbol = dlsym(handle, name);

	*(void **)pointer = symbol;
	if (!symbol)
		log_err("TLS: " SONAME " has no %s: install a newer GnuTLS", name);
	return symbol;
}

static void load(void)
{
	void *handle = dlopen(SONAME, RTLD_NOW | RTLD_LOCAL);
	gnutls_free_function *free_text; /* a variable of the library, not a function */

	if (!handle) {
		log_err("TLS needs GnuTLS, install it (" SONAME "): %s", dlerror());
		return;
	}
#define FIND(name)                               \
	if (!find(handle, #name, &library.name)) \
		return;
	TLS_LIBRARY_FUNCTIONS(FIND)
#undef FIND
	if (!find(handle, "gnutls_free", &free_text))
		return;
	library.free_text = *free_text;
	is_loaded = true;
}

int tls_library_load(const struct tls_library **out)
{
	pthread_once(&once, load);
	*out = is_loaded ? &library : NULL;
	return is_loaded ? 0 : -ELIBACC;
}
