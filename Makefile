# SPDX-License-Identifier: Apache-2.0
# Copyright (C) 2026 The xenresd authors
#
# One file builds everything. `make help` lists the targets. Variables:
#   DEVELOPER=1                   warnings are errors
#   SANITIZE=address,undefined    instrumented, under build/sanitize/ (also: thread)
#   PREFIX= DESTDIR=              where `make install` puts things

VERSION := 0.1.0
PREFIX ?= /usr/local
CC ?= cc
CXX ?= c++
OBJCOPY ?= objcopy
comma := ,
BUILD := build$(if $(SANITIZE),/sanitize-$(subst $(comma),-,$(SANITIZE)))
MAKEFLAGS += --no-builtin-rules
ifeq ($(MAKELEVEL),0)
MAKEFLAGS += --jobs=$(shell nproc)
endif

# --- what each program is made of: a list to review, not a wildcard ---------------------------

COMMON := error buffer clock log text base64 channel message message_tags message_trace layout
SETTINGS := settings settings_text
SPOOL := ring ring_view doorbell feed_record
THREADS := errand
CONFINE := syscall_filter syscall_list
PROTO_JSON := lexer number parse parse_any parse_list parse_message parse_value parse_wellknown print \
              print_wellknown scalar time_text wellknown
PROTO_WIRE := budget wire
MAPPER := main options privilege confine notify loop peer patience request counters tags inventory describe snapshot range \
          stats run_times claim export directory mapping arena copy ceiling explain backend \
          feed_list feed_table feed_room feed_trace feed_watch feed_image domain_feed trace trace_can trace_left \
          trace_request journal doctor sampler wheel sampling source source_frames source_stats \
          source_trace source_trace_control source_trace_tell lap psb spool diff allowance
MAPPER_SIM := backend host call event resource timeline world guest guest_grants guest_scribbler guest_ioreqs \
              guest_vmtrace vmtrace trace_source pt pages play truth scenario scenario_happenings scenario_vmtrace \
              scenario_schema builtin
MAPPER_XEN := backend domain frames stats trace host host_identity store store_thread layout_check
AUTH := audit audit_batch audit_disk audit_record audit_chain audit_state audit_file audit_remains audit_recovery audit_log audit_flood audit_line audit_verify \
        guarded_file name certificate identity_pattern chain pem crl trust deny access policy policy_memo policy_list policy_limits policy_file \
        seal bucket quota_refusal quota_table quota pki examine examine_list \
        jose jwks jwt jwt_claims token token_memory tokens opaque opaque_file
RESOURCE := backoff mapper_client mapper_link mapper_calls mapper_answer mapper_state mapper_counters \
            domain_list domain_rows resolver copies holders merge feed_position feed_piece feed feed_image \
            feeds_table feeds subscription subscription_read subscription_append
RPC := exchange bearer request admission dispatch audited renewal reply reply_head stream streams call call_pauses wait timer rpc meter watch_end watch_meter method \
       services connect connect_error query codec compress envelope metadata cors uri pool page present \
       present_domain present_inspect present_watch present_trace snapshot frames schema host_memo host_service host_domains \
       host_watch host_watch_say host_view resource_service resource_frames inspect_grants inspect_ioreqs inspect_stats \
       watch watch_say watch_request watch_content watch_cursor watch_pulse watch_decode watch_grants watch_ioreqs \
       watch_vcpus shown trace_choice trace_leases trace_owners trace_service trace_list trace_read trace_read_say access_service
HTTP := socket tally handshakes key_pem credentials connection inflow outflow tls heading pump streaming body watchdog listener health
SERVER := main config config_titled faults limits material access_watch audit_service sandbox sandbox_capabilities sandbox_files sandbox_seccomp \
          confinement reload_files reload config_changes status keeper doors inherited alive exposition metrics service check check_certificates \
          command command_audit policy_answer command_policy command_token init init_folder init_texts command_init \
          doctor doctor_host doctor_service doctor_mapper command_doctor \
          supervisor child demo
# Packets are decoded by libipt, where it is.
have_ipt := $(wildcard /usr/include/intel-pt.h)
CLIENT := fault handle options token papers cancel sigpipe transport diagnose head details refusal retry inflate \
          procedure reply call envelope stream_answer stream target view pages host resource snapshot \
          sink inspect frames timestamp domain_query numbering byte_numbering reconnect follow follow_message watch_view \
          watch_read watch watch_domains image trace_view trace trace_message trace_read access
CLI := main cli arguments suggestion verbs help choices preflight report paint render table output json \
       methods request_text progress names operands host domains resources snapshot grants ioreqs stats \
       call recording recording_reader recording_writer ledger player recorder request wording teller lines \
       board attendant watching watch trace_manifest trace_manifest_print trace_manifest_parse trace_check \
       trace_files trace_lane trace_meter trace_show trace_show_files trace_record trace \
       $(if $(have_ipt),trace_packets trace_packet_text,trace_packets_none) scenario_text scenario_files scenario_domains replay verification verify whoami explain \
       completion completion_bash completion_zsh
PROTOS := xenres/v1/domain xenres/v1/failure xenres/v1/host xenres/v1/resource xenres/v1/inspect \
          xenres/v1/watch xenres/v1/trace xenres/v1/access google/rpc/error_details google/protobuf/timestamp google/protobuf/duration
TEST_PROTOS := tests/proto/zoo google/protobuf/any google/protobuf/empty google/protobuf/field_mask \
               google/protobuf/struct google/protobuf/wrappers

common_objs := $(COMMON:%=$(BUILD)/common/%.o)
settings_objs := $(SETTINGS:%=$(BUILD)/common/%.o)
spool_objs := $(SPOOL:%=$(BUILD)/common/%.o)
threads_objs := $(THREADS:%=$(BUILD)/common/%.o)
confine_objs := $(CONFINE:%=$(BUILD)/common/%.o)
proto_objs := $(PROTOS:%=$(BUILD)/gen/%.pb-c.o) $(PROTO_JSON:%=$(BUILD)/proto/json/%.o) \
              $(PROTO_WIRE:%=$(BUILD)/proto/wire/%.o)
mapper_objs := $(MAPPER:%=$(BUILD)/server/mapper/%.o)
sim_objs := $(MAPPER_SIM:%=$(BUILD)/server/mapper/sim/%.o)
xen_objs := $(MAPPER_XEN:%=$(BUILD)/server/mapper/xen/%.o)
auth_objs := $(AUTH:%=$(BUILD)/auth/%.o)
server_objs := $(RESOURCE:%=$(BUILD)/server/resource/%.o) $(RPC:%=$(BUILD)/server/rpc/%.o) \
               $(HTTP:%=$(BUILD)/server/http/%.o) $(SERVER:%=$(BUILD)/server/%.o) $(BUILD)/gen/schema.o \
               $(BUILD)/server/mapper/export.o # for those who ask what the mapper will say to its list
client_objs := $(CLIENT:%=$(BUILD)/client/%.o)
cli_objs := $(CLI:%=$(BUILD)/client/cli/%.o)

# Each program names the libraries that it may be linked with; tests/arch holds them to it.
mapper_libs := -lxxhash -lseccomp
sim_libs := -lconfuse
xen_libs := -lxenforeignmemory -lxenctrl -lxenstore -lxentoollog
xenresd_libs := -lmicrohttpd -lgnutls -lssl -lcrypto -lprotobuf-c -ljansson -lconfuse -lxxhash -lsystemd -lseccomp -lz -lzstd
client_libs := -lcurl -lprotobuf-c -ljansson -lz
cli_libs := -lprotobuf-c -lz -ljansson $(if $(have_ipt),-lipt)

have_xen := $(wildcard /usr/include/xenforeignmemory.h)
programs := $(if $(SERVER),xenresd) $(if $(MAPPER),xenresd-mapper-sim $(if $(have_xen),$(if $(MAPPER_XEN),xenresd-mapper))) \
            $(if $(CLI),xenres)
libraries := $(if $(CLIENT),libxenres.so.1 libxenres.a)
completions := $(addprefix $(BUILD)/completion/,bash zsh)

# --- flags -----------------------------------------------------------------------------------

CFLAGS ?= -O2 -g
cflags := -std=gnu17 -I. -Iclient/include -I$(BUILD)/gen -DXENRES_VERSION='"$(VERSION)"' -D_GNU_SOURCE \
          -fPIE -fvisibility=hidden -fno-strict-aliasing -pthread -Wall -Wextra
# Control flow protection is the processor's to offer: not every compiler has it.
cet := $(shell $(CC) -fcf-protection=full -E -x c /dev/null >/dev/null 2>&1 && echo -fcf-protection=full)
hardening := -fstack-protector-strong -fstack-clash-protection $(cet) -ftrivial-auto-var-init=zero
ldflags := -pie -Wl,-z,relro,-z,now,-z,noexecstack -Wl,--as-needed -pthread
ifdef SANITIZE
cflags += -fsanitize=$(SANITIZE) -fno-sanitize-recover=all -fno-omit-frame-pointer -DXENRES_SANITIZED
ldflags += -fsanitize=$(SANITIZE)
# The thread sanitizer does not know fences; those here order atomic accesses only.
cflags += $(if $(filter thread,$(SANITIZE)),-Wno-tsan)
else
cflags += -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2 $(hardening)
endif
warnings := -Wshadow -Wconversion -Wsign-conversion -Wstrict-prototypes -Wmissing-prototypes \
            -Wold-style-definition -Wvla -Wformat=2 -Wformat-security -Wcast-qual -Wcast-align \
            -Wpointer-arith -Wwrite-strings -Wundef -Wredundant-decls -Wnested-externs \
            -Wimplicit-fallthrough -Wnull-dereference -Wduplicated-cond -Wlogical-op
ifdef DEVELOPER
cflags += $(warnings) -Werror
endif

# --- build -----------------------------------------------------------------------------------

.DEFAULT_GOAL := all
.PHONY: all help deps ensure-deps demo check check-xen check-xen-vmtrace check-sanitize check-thread check-fresh check-clients \
        conformance bench bench-access bench-json bench-stream install dist clean tests
.SECONDARY:

all: $(addprefix $(BUILD)/,$(programs) $(libraries)) $(if $(CLI),$(completions)) ## build the programs and the library
ifndef have_xen
	@echo "No Xen headers here (Debian: libxen-dev): built all but xenresd-mapper."
endif

# V=1 shows the commands.
quiet = $(if $(V),,@printf '%-6s %s\n' $(1) $@;)

$(BUILD)/%.o: %.c
	@mkdir -p $(@D)
	$(call quiet,CC)$(CC) $(cflags) $(CFLAGS) -MMD -MP -c -o $@ $<

# Generated code is not ours to warn about.
$(BUILD)/gen/%.pb-c.o: $(BUILD)/gen/%.pb-c.c
	$(call quiet,CC)$(CC) $(filter-out $(warnings) -Werror -Wall -Wextra,$(cflags)) $(CFLAGS) -w -fPIC -c -o $@ $<

$(BUILD)/gen/%.pb-c.c $(BUILD)/gen/%.pb-c.h &: proto/%.proto
	@mkdir -p $(BUILD)/gen
	$(call quiet,PROTO)protoc-c -I proto -I /usr/include --c_out=$(BUILD)/gen $<
$(BUILD)/gen/tests/%.pb-c.c $(BUILD)/gen/tests/%.pb-c.h &: tests/%.proto
	@mkdir -p $(BUILD)/gen
	$(call quiet,PROTO)protoc-c -I . -I /usr/include --c_out=$(BUILD)/gen $<
$(BUILD)/gen/google/%.pb-c.c $(BUILD)/gen/google/%.pb-c.h &: /usr/include/google/%.proto
	@mkdir -p $(BUILD)/gen
	$(call quiet,PROTO)protoc-c -I /usr/include --c_out=$(BUILD)/gen $<

# The API as it describes itself, for GET /schema/…
$(BUILD)/gen/xenres.v1.binpb: $(wildcard proto/xenres/v1/*.proto proto/google/rpc/*.proto)
	@mkdir -p $(@D)
	$(call quiet,PROTO)protoc -I proto --include_imports --include_source_info --descriptor_set_out=$@ $^
$(BUILD)/gen/schema.c: $(BUILD)/gen/xenres.v1.binpb
	$(call quiet,GEN){ echo '#include "server/rpc/schema.h"'; \
	    echo 'const unsigned char schema_bytes[] = {'; od -An -v -tu1 $< | sed 's/ *\([0-9]\+\)/\1,/g'; \
	    echo '};'; echo 'const size_t schema_len_bytes = sizeof(schema_bytes);'; } >$@
$(BUILD)/gen/schema.o: $(BUILD)/gen/schema.c
	$(call quiet,CC)$(CC) $(cflags) $(CFLAGS) -c -o $@ $<

generated := $(PROTOS:%=$(BUILD)/gen/%.pb-c.h)
$(auth_objs) $(server_objs) $(client_objs) $(cli_objs) $(proto_objs): | $(generated)

link = $(call quiet,LINK)$(CC) $(ldflags) $(LDFLAGS) -o $@ $(filter %.o %.a,$^)

mapper_spool_objs := $(addprefix $(BUILD)/common/,ring.o doorbell.o)
$(BUILD)/xenresd-mapper: $(common_objs) $(confine_objs) $(mapper_spool_objs) $(mapper_objs) $(xen_objs)
	$(link) $(mapper_libs) $(xen_libs)
$(BUILD)/xenresd-mapper-sim: $(common_objs) $(confine_objs) $(mapper_spool_objs) $(settings_objs) $(mapper_objs) $(sim_objs)
	$(link) $(mapper_libs) $(sim_libs)
$(BUILD)/xenresd: $(common_objs) $(confine_objs) $(settings_objs) $(spool_objs) $(threads_objs) $(proto_objs) $(auth_objs) $(server_objs)
	$(link) $(xenresd_libs)
$(BUILD)/xenres: $(cli_objs) $(proto_objs) $(common_objs) $(BUILD)/libxenres.so
	$(link) -L$(BUILD) -lxenres $(cli_libs) -Wl,-rpath,'$$ORIGIN:$$ORIGIN/../lib'

# What a shell is to know of the command, by its own account.
$(BUILD)/completion/%: $(BUILD)/xenres $(BUILD)/libxenres.so.1
	@mkdir -p $(@D)
	$(call quiet,GEN)$(BUILD)/xenres completion $* >$@.new && mv $@.new $@

# The library is position independent and takes what it needs of common/ and proto/ into itself.
libxenres_common := $(BUILD)/common/error.o $(BUILD)/common/buffer.o $(BUILD)/common/clock.o \
                    $(BUILD)/common/text.o $(BUILD)/common/base64.o
libxenres_objs := $(patsubst $(BUILD)/%.o,$(BUILD)/pic/%.o,$(client_objs) $(libxenres_common) \
                  $(PROTO_WIRE:%=$(BUILD)/proto/wire/%.o)) $(PROTOS:%=$(BUILD)/gen/%.pb-c.o)
$(BUILD)/pic/%.o: %.c | $(generated)
	@mkdir -p $(@D)
	$(call quiet,CC)$(CC) $(filter-out -fPIE,$(cflags)) -fPIC $(CFLAGS) -MMD -MP -c -o $@ $<
$(BUILD)/libxenres.so.1: $(libxenres_objs) client/libxenres.map
	$(call quiet,LINK)$(CC) -shared $(filter-out -pie,$(ldflags)) $(LDFLAGS) -Wl,-soname,libxenres.so.1 \
	    -Wl,--version-script=client/libxenres.map -Wl,-z,defs -o $@ $(libxenres_objs) $(client_libs)
$(BUILD)/libxenres.so: $(BUILD)/libxenres.so.1
	@ln -sf $(<F) $@
# One object, in which only the interface is global: what is in common/ has names that programs use.
$(BUILD)/libxenres.a: $(libxenres_objs)
	$(call quiet,AR)$(CC) -r -nostdlib -o $(BUILD)/pic/libxenres.o $^ && \
	    $(OBJCOPY) --localize-hidden $(BUILD)/pic/libxenres.o && \
	    rm -f $@ && $(AR) qcs $@ $(BUILD)/pic/libxenres.o

# --- tests -----------------------------------------------------------------------------------

# Unit tests may use everything but the mains.
testable_objs := $(filter-out %/main.o,$(common_objs) $(confine_objs) $(settings_objs) $(spool_objs) $(threads_objs) $(proto_objs) \
                 $(auth_objs) $(server_objs) $(mapper_objs) $(sim_objs) $(client_objs) $(cli_objs))
# Those that take long come first: several run at a time, and the last ones should be short.
test_programs := $(patsubst tests/%.c,$(BUILD)/tests/%,$(wildcard tests/system/*_test.c \
                 tests/fault/*_test.c tests/contract/*_test.c tests/unit/*_test.c))
fuzz_programs := $(patsubst tests/%.c,$(BUILD)/tests/%,$(wildcard tests/fuzz/*_fuzz.c))
# What is installed is the plain build, whose sandbox is whole; and what looks at the sources only, sees the same in any build.
plain_scripts := tests/system/install.sh tests/system/exploit.sh $(addprefix tests/arch/,harness.sh includes.sh references.sh sources.sh)
test_scripts := $(filter-out $(if $(SANITIZE),$(plain_scripts)),$(wildcard tests/system/*.sh tests/arch/*.sh))

test_proto_objs := $(TEST_PROTOS:%=$(BUILD)/gen/%.pb-c.o)
$(test_proto_objs): | $(generated) $(TEST_PROTOS:%=$(BUILD)/gen/%.pb-c.h)
$(BUILD)/libtestable.a: $(testable_objs) $(test_proto_objs)
	$(call quiet,AR)rm -f $@ && $(AR) qcs $@ $^
$(BUILD)/tests/%.o: tests/%.c | $(generated) $(TEST_PROTOS:%=$(BUILD)/gen/%.pb-c.h)
	@mkdir -p $(@D)
	$(call quiet,CC)$(CC) $(cflags) $(CFLAGS) -MMD -MP -c -o $@ $<
# The backends' contract has two parts.
$(BUILD)/tests/contract/backend_test $(BUILD)/tests/contract/backend_xen_test: $(BUILD)/tests/contract/backend_vmtrace.o
# What decodes traces.
$(BUILD)/tests/unit/sim_pt_test $(BUILD)/tests/unit/sim_vmtrace_test: test_libs := -lipt
$(test_programs): %: %.o $(BUILD)/libtestable.a
	$(link) -lcmocka $(xenresd_libs) $(sim_libs) $(client_libs) $(cli_libs) $(mapper_libs) $(test_libs)
$(fuzz_programs): %: %.o $(BUILD)/tests/fuzz/replay.o $(BUILD)/libtestable.a
	$(link) $(xenresd_libs) $(sim_libs) $(client_libs) $(cli_libs) $(mapper_libs)

# The xen backend without a hypervisor (Xen's libraries replaced, an xenstored of the test's own), and
# the program that tries it in dom0.
xen_test_programs := $(if $(have_xen),$(patsubst tests/%.c,$(BUILD)/tests/%,$(wildcard tests/unit/xen/*_test.c)))
$(addprefix $(BUILD)/tests/unit/xen/,hypercall_test frames_test trace_test): $(BUILD)/tests/unit/xen/fake_xen.o
$(BUILD)/tests/unit/xen/store_test: $(BUILD)/tests/unit/xen/fake_xenstored.o
$(BUILD)/tests/xen/backend_test: $(addprefix $(BUILD)/tests/xen/backend_,fixture.o domains.o frames.o store.o)
$(xen_test_programs) $(BUILD)/tests/xen/backend_test: %: %.o $(xen_objs) $(BUILD)/libtestable.a
	$(link) -lcmocka $(xen_libs)
# The contract that the simulator keeps as well.
$(BUILD)/tests/contract/backend_xen_test: $(BUILD)/tests/contract/backend_test.o $(xen_objs) $(BUILD)/libtestable.a
	$(link) -lcmocka $(mapper_libs) $(xen_libs)

# xenresd with somebody in it who means harm: the same objects, and one handler of the test's own.
exploit_programs := $(BUILD)/tests/exploit/xenresd
$(BUILD)/tests/exploit/xenresd: $(BUILD)/tests/exploit/stand_in.o $(common_objs) $(confine_objs) $(settings_objs) $(spool_objs) \
    $(threads_objs) $(proto_objs) $(auth_objs) $(server_objs) | $(BUILD)/xenresd-mapper-sim
	$(link) -Wl,--wrap=schema_handler $(xenresd_libs)
	@ln -sf ../../xenresd-mapper-sim $(@D)/
tests: all $(exploit_programs) $(test_programs) $(fuzz_programs) $(xen_test_programs) ## build the tests too

ensure-deps:
	@deploy/deps.sh
deps: ## install the Debian packages that building and testing need
	deploy/deps.sh

demo: ensure-deps ## build, serve a simulated host, and show the main job
	@$(MAKE) --no-print-directory all
	@deploy/demo.sh $(BUILD)

check: ensure-deps ## build and run all tests that need no hypervisor
	@$(MAKE) --no-print-directory DEVELOPER=1 tests
	@tests/lib/run.sh $(BUILD) $(test_scripts) $(test_programs) $(fuzz_programs) $(xen_test_programs)

# Connect's own conformance suite, against a server of ours made for it. The suite's description of
# its service comes with it, from the Go module proxy; protobuf-c knows proto3's `optional` as the
# oneof that it is on the wire.
CONFORMANCE := connectrpc.com/conformance
CONFORMANCE_VERSION := v1.0.7
conformance_dir := $(BUILD)/tests/conformance
conformance_gen := $(conformance_dir)/gen
conformance_protos := config service server_compat
conformance_objs := $(addprefix $(conformance_dir)/,server.o service.o request_info.o) \
                    $(conformance_protos:%=$(conformance_gen)/connectrpc/conformance/v1/%.pb-c.o) \
                    $(conformance_gen)/google/protobuf/any.pb-c.o
$(conformance_dir)/connectconformance:
	@mkdir -p $(@D)
	$(call quiet,GO)GOBIN=$(abspath $(@D)) go install $(CONFORMANCE)/cmd/connectconformance@$(CONFORMANCE_VERSION)
$(conformance_gen)/.made: $(conformance_dir)/connectconformance
	@mkdir -p $(conformance_gen)/proto/connectrpc/conformance/v1
	$(call quiet,PROTO)dir=$$(go mod download -json $(CONFORMANCE)@$(CONFORMANCE_VERSION) | sed -n 's/.*"Dir": "\(.*\)".*/\1/p') && \
	    for name in $(conformance_protos); do \
	        sed -E 's/^( *)optional (\w+) (\w+) = ([0-9]+);/\1oneof \3_choice { \2 \3 = \4; }/' \
	            "$$dir/proto/connectrpc/conformance/v1/$$name.proto" \
	            >$(conformance_gen)/proto/connectrpc/conformance/v1/$$name.proto || exit 1; done && \
	    protoc-c -I $(conformance_gen)/proto -I /usr/include --c_out=$(conformance_gen) \
	        $(conformance_protos:%=$(conformance_gen)/proto/connectrpc/conformance/v1/%.proto) \
	        /usr/include/google/protobuf/any.proto
	@touch $@
$(conformance_gen)/%.pb-c.o: $(conformance_gen)/.made
	$(call quiet,CC)$(CC) -I$(conformance_gen) $(filter-out $(warnings) -Werror -Wall -Wextra,$(cflags)) $(CFLAGS) -w -c -o $@ $(@:.o=.c)
$(conformance_dir)/%.o: tests/conformance/%.c $(conformance_gen)/.made | $(generated)
	$(call quiet,CC)$(CC) -I$(conformance_gen) $(cflags) $(CFLAGS) -MMD -MP -c -o $@ $<
$(conformance_dir)/server: $(conformance_objs) $(BUILD)/libtestable.a
	$(link) $(xenresd_libs)
conformance: ensure-deps ## run Connect's official conformance suite (needs Go)
	@if command -v go >/dev/null; then \
	    $(MAKE) --no-print-directory DEVELOPER=1 $(conformance_dir)/server; fi
	@tests/lib/run.sh $(BUILD) tests/conformance/suite.sh

check-sanitize: ensure-deps ## make check, instrumented for addresses and undefined behaviour
	@TEST_TIME_FACTOR=$${TEST_TIME_FACTOR:-2} $(MAKE) --no-print-directory SANITIZE=address,undefined DEVELOPER=1 check

# What threads share: their tests, and both programs with streams open, read again and again.
thread_tests := $(patsubst %,tests/unit/%_test,audit audit_batch audit_disk audit_loss audited auth_stress ceiling copies doorbell domain_feed errand feed_table feeds \
                feeds_append feeds_append_stress feeds_gather feeds_life feeds_limits feeds_payer feeds_stress identity \
                journal keeper listener listener_stream listener_tls mapper_client mapper_rest mapper_watch opaque policy_memo pump quota resolver \
                ring_stress rules_stress sampler seal sim_sampler stream timer trace_leases trace_owners trace_service wait \
                waiting watch watch_domains watch_life watch_renewal watchdog) \
                $(patsubst %,tests/system/%_test,access access_trace hostile token_penalty tokens) tests/contract/feed_test
thread_scripts := $(patsubst %,tests/system/%.sh,access_reload stream_reload audit key_reload limits reload tokens)
check-thread: ensure-deps ## what threads share, instrumented for it
	@$(MAKE) --no-print-directory SANITIZE=thread DEVELOPER=1 run-thread
.PHONY: run-thread
run-thread: all $(thread_tests:%=$(BUILD)/%)
	@TEST_TIME_FACTOR=$${TEST_TIME_FACTOR:-4} tests/lib/run.sh $(BUILD) $(thread_tests:%=$(BUILD)/%) \
	    $(thread_scripts)

# One machine at a time: guests come to harm where others want the processors.
check-xen: ensure-deps ## run the main job on a real Xen, booted in an emulator
	@$(MAKE) --no-print-directory all $(BUILD)/tests/xen/backend_test $(exploit_programs) \
	    $(addprefix $(BUILD)/tests/contract/,mapper_test mapper_trace_test backend_xen_test)
	@TEST_JOBS=1 tests/lib/run.sh $(BUILD) tests/xen/streams.sh tests/xen/gateway.sh tests/xen/backend.sh

check-xen-vmtrace: ensure-deps ## trace there, on a hypervisor that offers vmtrace without Intel PT
	@$(MAKE) --no-print-directory all $(addprefix $(BUILD)/tests/contract/,mapper_trace_test backend_xen_test)
	@tests/lib/run.sh $(BUILD) tests/xen/vmtrace.sh

check-fresh: ensure-deps ## README's commands in a bare Debian 12 (root)
	@mkdir -p $(BUILD)
	@tests/lib/run.sh $(BUILD) tests/fresh/fresh.sh

client_tests := $(filter-out %/clients.sh,$(wildcard tests/clients/*.sh))
check-clients: ensure-deps ## examples/ and buf, with other people's clients (fetches them)
	@$(MAKE) --no-print-directory all
	@tests/lib/run.sh $(BUILD) $(client_tests)

bench_programs := $(BUILD)/tests/bench/client $(BUILD)/tests/bench/bare
$(bench_programs): %: %.o
	$(link) -lssl -lcrypto

bench: ensure-deps ## measure beside nginx, a bare TLS loop and ssh, and what access control costs
	@$(MAKE) --no-print-directory all $(bench_programs)
	@tests/bench/run $(BUILD)
	@tests/bench/access $(BUILD)

bench-access: ensure-deps ## measure what authentication, policy and audit cost
	@$(MAKE) --no-print-directory all $(bench_programs)
	@tests/bench/access $(BUILD)

stream_bench := $(addprefix $(BUILD)/tests/bench/,stream_client stream_bare compare trace_poll)
$(BUILD)/tests/bench/stream_client: $(BUILD)/tests/bench/stream_client.o $(PROTOS:%=$(BUILD)/gen/%.pb-c.o)
	$(link) -lssl -lcrypto -lprotobuf-c
$(BUILD)/tests/bench/stream_bare: $(BUILD)/tests/bench/stream_bare.o
	$(link) -lssl -lcrypto -lpthread
$(BUILD)/tests/bench/compare: $(BUILD)/tests/bench/compare.o
	$(link)
$(BUILD)/tests/bench/trace_poll: $(BUILD)/tests/bench/trace_poll.o $(common_objs) $(confine_objs) $(mapper_spool_objs) \
    $(settings_objs) $(filter-out %/main.o,$(mapper_objs)) $(sim_objs)
	$(link) $(mapper_libs) $(sim_libs)

bench-stream: ensure-deps ## measure live streams beside a bare TLS loop
	@$(MAKE) --no-print-directory all $(stream_bench)
	@tests/bench/stream $(BUILD)

# The same messages by protobuf's own C++.
cxx_gen := $(BUILD)/gen/cxx
cxx_peer_objs := $(patsubst %,$(cxx_gen)/xenres/v1/%.pb.o,access domain failure host inspect resource trace watch)
$(cxx_gen)/%.pb.cc $(cxx_gen)/%.pb.h &: proto/%.proto
	@mkdir -p $(cxx_gen)
	$(call quiet,PROTO)protoc -I proto -I /usr/include --cpp_out=$(cxx_gen) $<
$(cxx_gen)/%.pb.o: $(cxx_gen)/%.pb.cc | $(cxx_peer_objs:.o=.h)
	$(call quiet,CXX)$(CXX) -std=c++17 -O2 -g -I$(cxx_gen) -c -o $@ $<
$(BUILD)/tests/bench/json_peer.o: tests/bench/json_peer.cc $(cxx_peer_objs:.o=.h)
	@mkdir -p $(@D)
	$(call quiet,CXX)$(CXX) -std=c++17 -O2 -g -Wall -Wextra -I$(cxx_gen) -c -o $@ $<
$(BUILD)/tests/bench/json_peer: $(BUILD)/tests/bench/json_peer.o $(cxx_peer_objs)
	$(call quiet,LINK)$(CXX) -o $@ $^ -lprotobuf
$(BUILD)/tests/bench/json_codec: $(BUILD)/tests/bench/json_codec.o $(proto_objs) $(common_objs)
	$(link) -lprotobuf-c

bench-json: ensure-deps ## measure the JSON codec beside protobuf's own in C++
	@$(MAKE) --no-print-directory $(addprefix $(BUILD)/tests/bench/,json_codec json_peer)
	@tests/bench/json $(BUILD)

# --- install ---------------------------------------------------------------------------------

install: all ## install under DESTDIR/PREFIX
	install -d $(addprefix $(DESTDIR)$(PREFIX)/,bin sbin include/xenres lib/pkgconfig share/man/man1 \
	    share/man/man3 share/man/man5 share/man/man7 share/man/man8 share/xenresd/examples \
	    share/xenresd/proto/xenres/v1 share/xenresd/proto/google/rpc lib/systemd/system lib/sysusers.d \
	    share/bash-completion/completions share/zsh/site-functions)
	install $(BUILD)/xenres $(DESTDIR)$(PREFIX)/bin/
	install $(filter-out %/xenres,$(addprefix $(BUILD)/,$(programs))) $(DESTDIR)$(PREFIX)/sbin/
	install -m 644 client/include/xenres.h $(DESTDIR)$(PREFIX)/include/
	install -m 644 client/include/xenres/watch.h client/include/xenres/trace.h client/include/xenres/access.h $(DESTDIR)$(PREFIX)/include/xenres/
	install -m 755 $(BUILD)/libxenres.so.1 $(DESTDIR)$(PREFIX)/lib/
	ln -sf libxenres.so.1 $(DESTDIR)$(PREFIX)/lib/libxenres.so
	install -m 644 $(BUILD)/libxenres.a $(DESTDIR)$(PREFIX)/lib/
	sed 's|@PREFIX@|$(PREFIX)|; s|@VERSION@|$(VERSION)|' deploy/xenres.pc.in \
	    >$(DESTDIR)$(PREFIX)/lib/pkgconfig/xenres.pc
	install -m 644 proto/xenres/v1/*.proto $(DESTDIR)$(PREFIX)/share/xenresd/proto/xenres/v1/
	install -m 644 proto/google/rpc/*.proto $(DESTDIR)$(PREFIX)/share/xenresd/proto/google/rpc/
	install -m 644 deploy/*.example deploy/xenresd-root-key.conf $(DESTDIR)$(PREFIX)/share/xenresd/examples/
	for unit in deploy/*.service deploy/*.socket; do \
	    sed 's|/usr/local/|$(PREFIX)/|' $$unit >$(DESTDIR)$(PREFIX)/lib/systemd/system/$${unit##*/} || exit 1; done
	install -m 644 deploy/xenresd.sysusers $(DESTDIR)$(PREFIX)/lib/sysusers.d/xenresd.conf
	install -m 644 $(BUILD)/completion/bash $(DESTDIR)$(PREFIX)/share/bash-completion/completions/xenres
	install -m 644 $(BUILD)/completion/zsh $(DESTDIR)$(PREFIX)/share/zsh/site-functions/_xenres
	for page in docs/man/*.[1-8]; do \
	    install -m 644 $$page $(DESTDIR)$(PREFIX)/share/man/man$${page##*.}/ || exit 1; done

dist: ## a tarball of the committed tree
	@mkdir -p $(BUILD)
	git archive --format=tar.gz --prefix=xenresd-$(VERSION)/ -o $(BUILD)/xenresd-$(VERSION).tar.gz HEAD

clean: ## remove what was built
	rm -rf build

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1 \2/p' Makefile | \
	    while read -r target text; do printf '  make %-16s %s\n' "$$target" "$$text"; done

-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
