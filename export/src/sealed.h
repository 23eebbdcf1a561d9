// Files under a seal: one hash over all their bytes, in the last line, which is the comment of a zip archive:
//
//     spinconv 2 <note> sha256:<64 hexadecimal digits>
//
// The Python twin, which writes such files, is potential/sealed.py.
// SPDX-License-Identifier: MIT
#pragma once

#include <string>
#include <string_view>

namespace spinconv {

/// The note of the seal of a file, whose every byte is as it was when it was sealed. Error, which calls the file `name`, when there is no
/// seal, the file is damaged or cut, or of another format.
std::string_view open_sealed(std::string_view bytes, const std::string& name);

/// Whether a zip archive ends where its last record says so, and has no comment that was a seal once.
bool is_whole_archive(std::string_view bytes);

}  // namespace spinconv
