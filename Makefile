# SPDX-License-Identifier: Apache-2.0
#
# A thin front of the Meson build: the commands people type, and nothing Meson does itself.
#   build/        the program (-O2 with debug symbols)
#   build/asan    the same under the address and undefined-behaviour sanitizers
#   build/clang   the same with clang and sanitizers, and the fuzz targets
#   MESON_ARGS    more arguments for the first "meson setup build", e.g. --prefix=/usr
#   ARGS          arguments for tests/run and bench/run, e.g. make test ARGS="-k lease"
#   FUZZ_ARGS     arguments for each fuzz target

MESON ?= meson
CLANG ?= clang
CLANG_FORMAT ?= clang-format
MESON_ARGS ?=
ARGS ?=
FUZZ_ARGS ?= -max_total_time=60

SANITIZE := -Db_sanitize=address,undefined -Db_lundef=false -Doptimization=1 -Dwerror=true
SANITIZE_CFLAGS := '-fno-omit-frame-pointer','-fno-sanitize-recover=all'
C_FILES = $(shell find . \( -path ./build -o -path ./.git \) -prune -o -name '*.[ch]' -print)
SHELL_FILES = $(shell grep -rlIE '^\#!.*[/ ](ba)?sh\b' --exclude-dir=build --exclude-dir=.git .)

.PHONY: all asan clang demo test soak bench fuzz deb package-test install clean format check-format lint

all: build/build.ninja
	$(MESON) compile -C build

asan: build/asan/build.ninja
	$(MESON) compile -C build/asan

clang: build/clang/build.ninja
	$(MESON) compile -C build/clang

build/build.ninja:
	tools/install-deps build
	$(MESON) setup build --buildtype=debugoptimized $(MESON_ARGS)

build/asan/build.ninja:
	$(MESON) setup build/asan $(SANITIZE) -Dc_args="[$(SANITIZE_CFLAGS)]"

build/clang/build.ninja:
	CC=$(CLANG) $(MESON) setup build/clang $(SANITIZE) -Dfuzz=true \
		-Dc_args="[$(SANITIZE_CFLAGS),'-fsanitize=fuzzer-no-link']"

demo:
	tools/install-deps demo
	$(MAKE) all
	tests/vm/guest/build build/guest
	demo/run

test:
	tools/install-deps test
	tests/run $(ARGS)

# SOAK=SECONDS instead of half an hour; ARGS="--seed N" repeats one.
soak:
	tools/install-deps test
	$(MAKE) all
	tests/soak $(ARGS)

bench:
	tools/install-deps bench
	$(MAKE) all
	bench/run --json build/bench.json --plot build/bench.svg $(ARGS)

# Every target named fuzz-NAME, starting from tests/fuzz/NAME/ where there is such a folder.
fuzz: clang
	@set -e; found=; \
	for target in $$(find build/clang -type f -executable -name 'fuzz-*'); do \
		found=1; name=$${target##*/fuzz-}; mkdir -p build/fuzz/$$name; \
		seeds=tests/fuzz/$$name; [ -d $$seeds ] || seeds=; \
		echo "$$target"; \
		$$target $(FUZZ_ARGS) -artifact_prefix=build/fuzz/$$name- build/fuzz/$$name $$seeds; \
	done; \
	[ -n "$$found" ] || { echo "no fuzz targets in build/clang" >&2; exit 1; }

# The packages and what lintian says of them, in build/deb. The tests are "make test".
deb:
	tools/install-deps deb
	rm -rf build/deb
	mkdir -p build/deb/vmlan
	git ls-files -z | xargs -0 cp --parents -t build/deb/vmlan
	cd build/deb/vmlan && DEB_BUILD_OPTIONS="nocheck $$DEB_BUILD_OPTIONS" \
		dpkg-buildpackage --unsigned-source --unsigned-changes --build=binary
	cd build/deb && lintian --fail-on error vmlan_*.changes

# As root: installs the packages on a new Debian, runs guests from there, and removes them.
package-test: deb
	tools/install-deps package-test
	tests/vm/guest/build build/guest
	tests/package/run build/deb

install: all
	$(MESON) install -C build

clean:
	rm -rf build

format:
	$(CLANG_FORMAT) -i $(C_FILES)

check-format:
	@$(CLANG_FORMAT) --dry-run --Werror $(C_FILES)

lint:
	tools/install-deps lint
	$(MAKE) check-format
	shellcheck $(SHELL_FILES)
	rm -rf build/scan
	scan-build $(MESON) setup build/scan
	scan-build --status-bugs ninja -C build/scan
