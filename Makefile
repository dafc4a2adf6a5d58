# SPDX-License-Identifier: GPL-2.0-only
#
# make            build/colink, and the library: build/libcolink.a, .so.0, colink.pc
# make examples   programs that use the library, in build/examples
# make install    program and library to DESTDIR/PREFIX (/usr/local); make uninstall
# make demo       link the demo model, generate text from flash, show what placement saves
# make demo-kernel  the same model in a virtual machine with module and BPF: four ways to read it
# make check      build and run every test (SANITIZE=1: under ASan and UBSan, in build/sanitize)
# make fuzz       build the fuzzers and run each for FUZZ_SECONDS (60)
# make modules    build colink.ko against the kernel headers in KDIR (the running kernel's)
# make bpf        build the BPF programs and their skeletons, for any kernel from 6.1 on
# make lint       sparse and checkpatch over the module, by the means of KERNEL (6.12-amd64)
# make bench-cache     what the cache's policies are worth, by simulation
# make bench-device    what an I/O costs on the device under DIR (build/bench), beside fio
# make bench-fio       the engine beside fio, with the same reads: SHAPE, DIR as for bench-io
# make bench-links     what following links is worth beside a page cache, by simulation
# make bench-run-lengths  what synthetic activations are calibrated by
# make bench-gather    rows of a mapped file by libcolink's example, with and without prefetch;
#                      DIR=... where its file of 2 GiB is made (build/bench)
# make bench-half      a model of 3.5 GB in memory for half of it, against what maps it (root);
#                      DIR=... where the model is made (build/bench)
# make bench-io        what a token's bundles cost, by each method: SHAPE=opt-1.3b, or demo;
#                      DIR=... where model and trace are made (build/bench)
# make bench-io-sizes  the same over bundles of several sizes: what linking gains by size
# make bench-neighbour what colink costs another program where memory is short, in a virtual machine
#                      (ten minutes); DIR=... where a synthetic model is made (build/bench)
# make bench-place     device time of a model's orders, by each method: SHAPE=opt-6.7b, or demo;
#                      DIR=... where its trace is made (build/bench)
# make bench-placement-gap  how far placement is from the best there is (half an hour)
# make bench-placing   how long counting pairs of neurons and linking them take, for all layers
#                      of three shapes (some minutes)
# make bench-strangers programs that know nothing, and colink load, in a virtual machine
# make bench-prefetch  time prefetching, and colink load, in a virtual machine (an hour)
# make bench-vm        whole runs by every source, with module and BPF, in a virtual machine (an hour);
#                      DIR=... where a synthetic model is made (build/bench)
# make vmtest     boot KERNEL (6.12-amd64) in QEMU and run the selftests there
#
# V=1 shows the commands. Missing Debian packages are installed (root) or named.
# For another machine: make CC=aarch64-linux-gnu-gcc BUILD=build/arm64

V ?= 0
SANITIZE ?= 0
FUZZ_SECONDS ?= 60

ifeq ($(SANITIZE),1)
BUILD ?= build/sanitize
OPTIMIZE ?= -O2 -g -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=all
else
BUILD ?= build
OPTIMIZE ?= -O2 -g
endif

# One name for one file: what make has noted of an object's headers goes by its name.
override BUILD := $(patsubst $(CURDIR)/%,%,$(abspath $(BUILD)))

ifeq ($(V),1)
quiet = @echo '  $(1)' >/dev/null;
else
quiet = @printf '  %-8s %s\n' '$(1)' '$(2)';
endif

CC = gcc
# The one that comes with the compiler, which may be for another machine.
AR = $(shell $(CC) -print-prog-name=ar)
WARNINGS = -Wall -Wextra -Wmissing-prototypes -Wstrict-prototypes -Wold-style-definition \
	-Wpointer-arith -Wshadow -Wvla -Wwrite-strings -Wundef
CPPFLAGS = -Iruntime -I$(BUILD)/bpf -Ibpf -Iinclude -Iinclude/uapi
CFLAGS = -std=gnu11 $(WARNINGS) $(OPTIMIZE) -pthread -MMD -MP
LDFLAGS = -pthread
LDLIBS = -lbpf -ljansson -lpcre2-8 -lpng -luring -lxxhash -lzip -llapacke -llapack -lblas -lm

# Everything below cli/, in the order in which rooms may depend on each other.
runtime_rooms = base model placement kernel library storage infer synth bench
runtime_sources := $(sort $(foreach room,$(runtime_rooms),$(wildcard runtime/$(room)/*.c)))
runtime_objects := $(runtime_sources:%.c=$(BUILD)/%.o)
cli_objects := $(patsubst %.c,$(BUILD)/%.o,$(sort $(wildcard runtime/cli/*.c)))

unit_programs := $(patsubst %.c,$(BUILD)/%,$(sort $(wildcard tests/unit/test_*.c)))
integration_programs := $(patsubst %.c,$(BUILD)/%,$(sort $(wildcard tests/integration/test_*.c)))
integration_scripts := $(sort $(wildcard tests/integration/test_*.sh))
vm_scripts := $(sort $(wildcard tests/vm/test_*.sh))
test_helpers := $(patsubst %.c,$(BUILD)/%.o,$(sort $(wildcard tests/helpers/*.c)))
fuzzers := $(patsubst %.c,$(BUILD)/%,$(sort $(wildcard tests/fuzz/fuzz_*.c)))

all: $(BUILD)/colink library

# What the compiler makes code for. On a bare machine there is no compiler yet: this one.
this_machine := $(shell uname -m)
MACHINE ?= $(firstword $(subst -, ,$(shell $(CC) -dumpmachine 2>/dev/null || uname -m)))

# These are the packages of this machine. Another one's libraries may be in any sysroot.
$(BUILD)/packages.stamp: .ci/packages
ifeq ($(MACHINE),$(this_machine))
	@.ci/packages
endif
	@mkdir -p $(@D) && touch $@

# The same kernels, compiled once per instruction set and picked at run time. They
# rely on unrolled loops, so they are optimized more than the rest.
$(BUILD)/runtime/infer/kernels_%.o: CFLAGS += -O3
ifeq ($(MACHINE),x86_64)
$(BUILD)/runtime/infer/kernels_avx2.o: CFLAGS += -mavx2 -mfma -mf16c
$(BUILD)/runtime/infer/kernels_avx512.o: CFLAGS += -mavx512f -mavx512vl -mavx512bw -mfma -mf16c
endif

# What the search for an order spends its time on, likewise.
$(BUILD)/runtime/placement/gap_rows_%.o: CFLAGS += -O3
ifeq ($(MACHINE),x86_64)
$(BUILD)/runtime/placement/gap_rows_avx2.o: CFLAGS += -mavx2
$(BUILD)/runtime/placement/gap_rows_avx512.o: CFLAGS += -mavx512f -mavx512vl -mavx512bw \
	-mprefer-vector-width=512
endif

# Its loops over all pairs are as fast as memory when they are made of vectors.
$(BUILD)/runtime/placement/order_forest.o: CFLAGS += -O3

# So are those that count pairs of neurons and search the counts.
$(BUILD)/runtime/placement/count_kernel_%.o: CFLAGS += -O3
$(BUILD)/runtime/placement/coactivation%.o $(BUILD)/runtime/placement/row_best.o: CFLAGS += -O3
ifeq ($(MACHINE),x86_64)
$(BUILD)/runtime/placement/count_kernel_avx2.o: CFLAGS += -mavx2
$(BUILD)/runtime/placement/count_kernel_avx512.o: CFLAGS += -mavx512f -mavx512vpopcntdq
endif

# The same seed gives the same gates on every machine: no product is fused with its sum.
$(BUILD)/runtime/synth/synth_gate.o: CFLAGS += -ffp-contract=off
# Nor does what a cache has, and so an order, depend on it.
$(BUILD)/runtime/placement/residency.o: CFLAGS += -O3 -ffp-contract=off

# AddressSanitizer would make the vector kernels ten times slower; that they stay within
# their arrays is what test_kernels checks with guard pages instead.
ifeq ($(SANITIZE),1)
$(addprefix $(BUILD)/runtime/infer/kernels_,avx2.o avx512.o neon.o): CFLAGS += \
	-fno-sanitize=address
endif

# The skeleton of each BPF program, to be included by who loads it. bpftool is in sbin.
# They are the same for every machine; the kernel's own types are found when they are loaded.
bpf_skeletons := $(patsubst bpf/%.bpf.c,$(BUILD)/bpf/%.skel.h,$(sort $(wildcard bpf/*.bpf.c)))
bpftool := PATH=$$PATH:/usr/sbin bpftool
$(BUILD)/bpf/%.bpf.o: bpf/%.bpf.c $(wildcard bpf/*.h) | $(BUILD)/packages.stamp
	@mkdir -p $(@D)
	$(call quiet,BPF,$@)clang -g -O2 -Wall -Wextra -Wno-unused-parameter --target=bpf -mcpu=v3 \
		-idirafter /usr/include/$$(gcc -print-multiarch) -c $< -o $@

$(BUILD)/bpf/%.skel.h: $(BUILD)/bpf/%.bpf.o
	$(call quiet,SKEL,$@)$(bpftool) gen skeleton $< name $* >$@.new && mv $@.new $@

bpf: $(bpf_skeletons)

$(BUILD)/%.o: %.c | $(BUILD)/packages.stamp
	@mkdir -p $(@D)
	$(call quiet,CC,$@)$(CC) $(CPPFLAGS) $(CFLAGS) -c $< -o $@

# Those that load BPF programs include their skeletons.
$(filter $(BUILD)/runtime/kernel/%,$(runtime_objects)): $(bpf_skeletons)

$(BUILD)/libruntime.a: $(runtime_objects)
	@rm -f $@
	$(call quiet,AR,$@)$(AR) rcs $@ $^

$(BUILD)/colink: $(cli_objects) $(BUILD)/libruntime.a
	$(call quiet,LD,$@)$(CC) $(CFLAGS) $(LDFLAGS) $^ $(LDLIBS) -o $@

$(BUILD)/tests/%.o: CPPFLAGS += -Itests
$(unit_programs) $(integration_programs): $(BUILD)/%: $(BUILD)/%.o $(test_helpers) \
		$(BUILD)/libruntime.a
	$(call quiet,LD,$@)$(CC) $(CFLAGS) $(LDFLAGS) $(TEST_LDFLAGS) $^ -lcmocka $(LDLIBS) -o $@

# Calls that the test makes fail: of our own objects, by the linker.
faulty_calls = fstat fsync linkat open pread pwrite rename
ifeq ($(SANITIZE),1)
faulty_calls += aligned_alloc calloc malloc realloc strdup strndup
endif
$(BUILD)/tests/integration/test_faults: TEST_LDFLAGS = $(faulty_calls:%=-Wl,--wrap=%)

# There a file system has no files without names.
$(BUILD)/tests/unit/test_extent_file: TEST_LDFLAGS = -Wl,--wrap=open

# What waiting for the device has told is what the test says.
$(BUILD)/tests/unit/test_refined_cost: TEST_LDFLAGS = -Wl,--wrap=device_watch_waited

# Folders that behave as cgroups do.
$(addprefix $(BUILD)/tests/unit/,test_io_mmap test_memory_group): TEST_LDFLAGS = \
	-Wl,--wrap=mkdir -Wl,--wrap=rmdir

# helpers/fake_module.h
$(addprefix $(BUILD)/tests/unit/,test_source_choice test_source_kernel test_store_kernel): \
	TEST_LDFLAGS = -Wl,--wrap=kernel_device_open -Wl,--wrap=kernel_device_register \
	-Wl,--wrap=kernel_device_prefetch -Wl,--wrap=kernel_device_drop

# They look on while a layer computes, and while a source waits.
$(BUILD)/tests/unit/test_session: TEST_LDFLAGS = -Wl,--wrap=ffn_window \
	-Wl,--wrap=bundle_store_advance
$(BUILD)/tests/unit/test_source_waits: TEST_LDFLAGS = -Wl,--wrap=io_uring_submit \
	-Wl,--wrap=io_uring_submit_and_wait -Wl,--wrap=io_uring_submit_and_get_events

# What libcolink calls fails; and the module is one that the test plays.
$(BUILD)/tests/unit/test_prefetcher_faults: TEST_LDFLAGS = $(foreach call,malloc calloc \
	posix_fadvise pread io_uring_queue_init io_uring_submit,-Wl,--wrap=$(call))
$(BUILD)/tests/unit/test_prefetcher_module: TEST_LDFLAGS = -Wl,--wrap=open -Wl,--wrap=ioctl

# libcolink: what it takes of the runtime, compiled once more, for a shared library. Its
# symbols are hidden, but for those of include/colink, so that it gets into nobody's way.
library_sources := runtime/base/error.c runtime/kernel/kernel_device.c \
	$(sort $(wildcard runtime/library/*.c))
library_objects := $(library_sources:%.c=$(BUILD)/library/%.o)
library_version = 0.1
OBJCOPY = $(shell $(CC) -print-prog-name=objcopy)

library: $(addprefix $(BUILD)/,libcolink.a libcolink.so colink.pc)

$(BUILD)/library/%.o: CFLAGS += -fPIC -fvisibility=hidden
$(BUILD)/library/%.o: %.c | $(BUILD)/packages.stamp
	@mkdir -p $(@D)
	$(call quiet,CC,$@)$(CC) $(CPPFLAGS) $(CFLAGS) -c $< -o $@

# One object, in which what is hidden becomes local: archives know no other way.
$(BUILD)/library/libcolink.o: $(library_objects)
	$(call quiet,LD,$@)$(CC) -r -nostdlib $^ -o $@ && $(OBJCOPY) --localize-hidden $@

$(BUILD)/libcolink.a: $(BUILD)/library/libcolink.o
	@rm -f $@
	$(call quiet,AR,$@)$(AR) rcs $@ $^

$(BUILD)/libcolink.so.0: $(library_objects) runtime/library/libcolink.map
	$(call quiet,LD,$@)$(CC) $(CFLAGS) $(LDFLAGS) -shared -Wl,-soname,libcolink.so.0 \
		-Wl,--version-script=runtime/library/libcolink.map $(library_objects) -luring -o $@

$(BUILD)/libcolink.so: $(BUILD)/libcolink.so.0
	$(call quiet,LN,$@)ln -sf libcolink.so.0 $@

examples := $(patsubst Documentation/examples/%.c,$(BUILD)/examples/%, \
	$(sort $(wildcard Documentation/examples/*.c)))
examples: $(examples)
$(BUILD)/examples/%: Documentation/examples/%.c $(BUILD)/libcolink.a
	@mkdir -p $(@D)
	$(call quiet,LD,$@)$(CC) $(CFLAGS) -Iinclude $< $(BUILD)/libcolink.a -luring -o $@

# Where it is installed is in it.
PREFIX ?= /usr/local
BINDIR ?= $(PREFIX)/bin
LIBDIR ?= $(PREFIX)/lib
INCLUDEDIR ?= $(PREFIX)/include
MANDIR ?= $(PREFIX)/share/man
$(BUILD)/colink.pc: runtime/library/colink.pc.in always
	@mkdir -p $(@D)
	@sed -e 's,@PREFIX@,$(PREFIX),' -e 's,@LIBDIR@,$(LIBDIR),' \
		-e 's,@INCLUDEDIR@,$(INCLUDEDIR),' -e 's,@VERSION@,$(library_version),' $< >$@

always:

library_functions = colink_prefetcher_backend colink_prefetcher_close colink_prefetcher_describe \
	colink_prefetcher_error colink_prefetcher_open
to = $(DESTDIR)$(1)
install: all
	install -d $(foreach dir,$(BINDIR) $(LIBDIR)/pkgconfig $(INCLUDEDIR)/colink $(MANDIR)/man3, \
		$(call to,$(dir)))
	install -m 755 $(BUILD)/colink $(call to,$(BINDIR))
	install -m 644 $(BUILD)/libcolink.a $(BUILD)/libcolink.so.0 $(call to,$(LIBDIR))
	ln -sf libcolink.so.0 $(call to,$(LIBDIR))/libcolink.so
	install -m 644 $(BUILD)/colink.pc $(call to,$(LIBDIR))/pkgconfig
	install -m 644 include/colink/prefetch.h $(call to,$(INCLUDEDIR))/colink
	install -m 644 Documentation/man/colink_prefetch.3 $(call to,$(MANDIR))/man3
	for name in $(library_functions); do \
		ln -sf colink_prefetch.3 $(call to,$(MANDIR))/man3/$$name.3; \
	done

# Folders that others may use stay.
uninstall:
	rm -f $(call to,$(BINDIR))/colink $(call to,$(LIBDIR))/libcolink.a \
		$(call to,$(LIBDIR))/libcolink.so.0 $(call to,$(LIBDIR))/libcolink.so \
		$(call to,$(LIBDIR))/pkgconfig/colink.pc \
		$(call to,$(INCLUDEDIR))/colink/prefetch.h \
		$(foreach name,colink_prefetch $(library_functions),$(call to,$(MANDIR))/man3/$(name).3)
	-rmdir $(call to,$(INCLUDEDIR))/colink

# Linked once; several tests and the demo read it.
demo_model = tests/data/demo-model
demo_texts = $(sort $(wildcard $(demo_model)/corpus/*.txt))
$(BUILD)/demo/linked.gguf: $(BUILD)/colink $(demo_texts) $(demo_model)/model.safetensors
	@mkdir -p $(@D)
	$(BUILD)/colink link $(demo_model) -o $@ $(demo_texts:%=--text %)

simulations := $(patsubst %.c,$(BUILD)/%,$(filter-out tests/bench/placement_gap.c \
	tests/bench/path_search.c,$(sort $(wildcard tests/bench/*.c))))

# That what only benchmarks use can still be built is checked, too.
check: all $(unit_programs) $(integration_programs) $(BUILD)/demo/linked.gguf $(simulations) \
		$(BUILD)/tests/bench/placement_gap
	tests/run --build $(BUILD) $(unit_programs) $(integration_programs) $(integration_scripts) \
		$(vm_scripts)

demo: all
	tests/demo $(BUILD)

demo-kernel: all $(BUILD)/demo/linked.gguf
	tests/demo-kernel $(BUILD)

# libFuzzer comes with clang; the objects have a folder of their own.
fuzz:
	tests/fuzz/run $(FUZZ_SECONDS)

# Kbuild writes beside its sources: it gets a copy of them.
KDIR ?= /lib/modules/$(shell uname -r)/build
MODULES ?= $(BUILD)/modules
module_sources = Kbuild $(wildcard kmod/*.[ch]) include/uapi/linux/colink.h
modules:
	@mkdir -p $(MODULES)
	@cp --parents --update $(module_sources) $(MODULES)
	$(MAKE) -C $(KDIR) M=$(abspath $(MODULES)) W=1 modules

KERNEL ?= 6.12-amd64
vmtest:
	tests/vm/run $(KERNEL) $(TESTS)

DIR ?= $(BUILD)/bench
bench-device: all $(BUILD)/demo/linked.gguf
	@mkdir -p $(DIR)
	tests/bench/device $(BUILD) $(DIR)

# Documentation/io.rst
SHAPE ?= demo
bench-io: all $(if $(filter demo,$(SHAPE)),$(BUILD)/demo/heldout.trace)
	tests/bench/io $(BUILD) $(SHAPE) $(DIR)

bench-fio: all $(if $(filter demo,$(SHAPE)),$(BUILD)/demo/heldout.trace)
	tests/bench/fio-mix $(BUILD) $(SHAPE) $(DIR)

bench-io-sizes: all
	tests/bench/io-sizes $(BUILD) $(SHAPE) $(DIR)

# Documentation/benchmarks.rst
bench-place: all $(if $(filter demo,$(SHAPE)),$(BUILD)/demo/corpus.trace $(BUILD)/demo/heldout.trace)
	tests/bench/place $(BUILD) $(SHAPE) $(DIR)

bench-gather: examples
	tests/bench/gather $(BUILD) $(DIR)

bench-half: all
	tests/bench/half $(BUILD) $(DIR)

bench-neighbour: all $(BUILD)/demo/linked.gguf
	tests/bench/neighbour $(BUILD) $(DIR)

bench-prefetch: all
	tests/bench/prefetch $(BUILD)

bench-strangers: all $(BUILD)/tests/bench/replay_log $(BUILD)/tests/bench/wide_model \
		$(BUILD)/demo/heldout.trace
	tests/bench/strangers $(BUILD)

bench-vm: all $(BUILD)/demo/linked.gguf
	tests/bench/vm-run $(BUILD) $(DIR)

$(simulations): $(BUILD)/%: $(BUILD)/%.o $(BUILD)/libruntime.a
	$(call quiet,LD,$@)$(CC) $(CFLAGS) $(LDFLAGS) $^ $(LDLIBS) -o $@

# Documentation/cache.rst. The held-out text is one that placing and frequencies did not see.
bench-cache: $(BUILD)/tests/bench/simulate_cache $(BUILD)/demo/linked.gguf $(BUILD)/demo/heldout.trace
	$< $(BUILD)/demo/linked.gguf $(BUILD)/demo/heldout.trace 4000

# Documentation/synthetic.rst
bench-run-lengths: $(BUILD)/tests/bench/simulate_run_lengths
	$< opt-6.7b 2000 300
	$< llama-2-7b 1000 200

# Documentation/placement.rst
$(BUILD)/tests/bench/placement_gap: $(BUILD)/%: $(BUILD)/%.o $(BUILD)/tests/bench/path_search.o \
		$(BUILD)/libruntime.a
	$(call quiet,LD,$@)$(CC) $(CFLAGS) $(LDFLAGS) $^ $(LDLIBS) -o $@

bench-placement-gap: $(BUILD)/tests/bench/placement_gap $(BUILD)/demo/corpus.trace
	$< $(BUILD)/demo/corpus.trace 10000

bench-placing: $(BUILD)/tests/bench/count_and_link
	$< opt-350m 20000
	$< opt-1.3b 20000
	$< opt-6.7b 20000

# Documentation/commands/load.rst: the tokens are the first of text that placing did not see.
bench-links: $(BUILD)/tests/bench/simulate_links $(BUILD)/demo/linked.gguf $(BUILD)/demo/heldout.trace
	$< $(BUILD)/demo/linked.gguf $(BUILD)/demo/heldout.trace 400

$(BUILD)/demo/heldout.trace: $(BUILD)/demo/linked.gguf $(demo_model)/heldout.txt | $(BUILD)/colink
	$(BUILD)/colink trace $< -o $@ --text $(demo_model)/heldout.txt

$(BUILD)/demo/corpus.trace: $(BUILD)/demo/linked.gguf $(demo_texts) | $(BUILD)/colink
	$(BUILD)/colink trace $< -o $@ $(demo_texts:%=--text %)

lint:
	tests/vm/lint $(KERNEL)

clean:
	rm -rf $(BUILD)

.PHONY: all always bench-cache bench-device bench-fio bench-gather bench-half bench-io \
	bench-io-sizes bench-links bench-neighbour bench-place bench-placement-gap bench-placing \
	bench-prefetch bench-run-lengths bench-strangers bench-vm bpf check clean demo demo-kernel examples \
	fuzz install library lint modules uninstall vmtest
.SECONDARY:

-include $(patsubst %.o,%.d,$(runtime_objects) $(library_objects) $(cli_objects) $(test_helpers))
-include $(addsuffix .d,$(examples) $(unit_programs) $(integration_programs) $(simulations) \
	$(addprefix $(BUILD)/tests/bench/,path_search placement_gap))
