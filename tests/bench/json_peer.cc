// SPDX-License-Identifier: Apache-2.0
// Copyright (C) 2026 The xenresd authors
//
// protobuf's own JSON (libprotobuf, C++), measured: json_peer FOLDER, as json_codec.c says. It makes
// the messages first, and writes them and their JSON into FOLDER.
#include <google/protobuf/util/json_util.h>

#include <cstdlib>
#include <ctime>
#include <fstream>
#include <iostream>
#include <map>
#include <memory>
#include <random>
#include <string>

#include "xenres/v1/host.pb.h"
#include "xenres/v1/inspect.pb.h"
#include "xenres/v1/resource.pb.h"

using google::protobuf::Message;
namespace util = google::protobuf::util;

namespace
{

std::mt19937_64 random_bits(1);

void Identify(xenres::v1::DomainIdentity *identity, unsigned domid)
{
    identity->set_domid(domid);
    identity->set_uuid("6a1d3c0e-8b5f-4c7e-9f2d-0123456789ab");
    identity->set_name("web-" + std::to_string(domid) + " (Zürich)");
    identity->set_incarnation("0f1e2d3c4b5a69788796a5b4c3d2e1f0");
}

void Observe(xenres::v1::Observation *observation)
{
    observation->mutable_wall_time()->set_seconds(1767225599);
    observation->mutable_wall_time()->set_nanos(123456789);
    observation->set_monotonic_ns(random_bits() >> 16);
    observation->set_copy_duration_ns(41234);
    observation->set_frame_count(32);
    observation->set_frame_bytes(4096);
    observation->set_consistency(xenres::v1::CONSISTENCY_ALIGNED_8_BYTES);
    observation->set_content_tag("8f14e45fceea167a5a36dedd4bea2543");
}

std::unique_ptr<Message> Grants()
{
    auto answer = std::make_unique<xenres::v1::GetGrantTableResponse>();

    Identify(answer->mutable_domain(), 7);
    Observe(answer->mutable_observation());
    answer->set_reference_capacity(16384);
    for (unsigned i = 0; i < 5000; i++) {
        auto *entry = answer->add_entries();

        entry->set_reference(8 + i);
        entry->set_kind(xenres::v1::GRANT_KIND_PERMIT_ACCESS);
        entry->set_domid(i % 3);
        entry->set_frame(random_bits() >> 40);
        entry->set_readonly(i % 2 != 0);
        entry->set_reading(i % 5 == 0);
        entry->set_raw_flags(i % 2 != 0 ? 5 : 1);
        if (i % 10 == 0) {
            entry->mutable_sub_page()->set_offset_bytes(512);
            entry->mutable_sub_page()->set_length_bytes(1024);
        }
    }
    return answer;
}

std::unique_ptr<Message> Domains()
{
    auto answer = std::make_unique<xenres::v1::ListDomainsResponse>();

    for (unsigned i = 0; i < 100; i++) {
        auto *domain = answer->add_domains();

        Identify(domain->mutable_identity(), i);
        domain->set_type(xenres::v1::DOMAIN_TYPE_PVH);
        domain->set_state(xenres::v1::DOMAIN_STATE_BLOCKED);
        domain->set_online_vcpus(2);
        domain->set_max_vcpus(4);
        domain->set_memory_kib(4194304);
        domain->set_cpu_time_ns(random_bits() >> 20);
    }
    answer->set_next_page_token("cGFnZSB0b2tlbiB0aGF0IG5vYm9keSByZWFkcw");
    return answer;
}

std::unique_ptr<Message> Snapshot()
{
    auto answer = std::make_unique<xenres::v1::GetSnapshotResponse>();
    std::string frames(1 << 20, '\0');

    for (auto &byte : frames) {
        byte = static_cast<char>(random_bits());
    }
    Identify(answer->mutable_domain(), 7);
    Observe(answer->mutable_observation());
    answer->set_type(xenres::v1::RESOURCE_TYPE_GRANT_TABLE);
    answer->set_frames(frames);
    return answer;
}

struct Subject {
    std::unique_ptr<Message> message;
    std::string json;
};

[[noreturn]] void Die(const std::string &what)
{
    std::cerr << "json_peer: " << what << "\n";
    std::exit(EXIT_FAILURE);
}

std::string Encode(const Message &message)
{
    std::string out;

    if (!util::MessageToJsonString(message, &out).ok()) {
        Die("encode");
    }
    return out;
}

void Decode(const Message &like, const std::string &json)
{
    std::unique_ptr<Message> message(like.New());

    if (!util::JsonStringToMessage(json, message.get()).ok()) {
        Die("decode");
    }
}

double CpuSeconds()
{
    timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) / 1e9;
}

void Measure(const Subject &subject, bool is_encoding, unsigned for_ms)
{
    std::size_t done_bytes = 0;
    double begin_s = CpuSeconds();
    double taken_s;

    do {
        if (is_encoding) {
            done_bytes += Encode(*subject.message).size();
        } else {
            Decode(*subject.message, subject.json);
            done_bytes += subject.json.size();
        }
        taken_s = CpuSeconds() - begin_s;
    } while (taken_s < for_ms / 1e3);
    std::cout << done_bytes << " " << std::fixed << taken_s << std::endl;
}

} // namespace

int main(int argc, char **argv)
{
    std::map<std::string, Subject> subjects;
    std::string direction, name;
    unsigned for_ms;

    if (argc != 2) {
        Die("usage: json_peer FOLDER");
    }
    subjects["grants"].message = Grants();
    subjects["domains"].message = Domains();
    subjects["snapshot"].message = Snapshot();
    for (auto &entry : subjects) {
        const std::string base = std::string(argv[1]) + "/" + entry.first;

        entry.second.json = Encode(*entry.second.message);
        std::ofstream(base + ".json") << entry.second.json;
        std::ofstream(base + ".bin") << entry.second.message->SerializeAsString();
    }
    std::cout << "ready" << std::endl;
    while (std::cin >> direction >> name >> for_ms) {
        Measure(subjects.at(name), direction == "encode", for_ms);
    }
    return EXIT_SUCCESS;
}
