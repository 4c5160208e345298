# SPDX-License-Identifier: Apache-2.0
# Completion of vmlan for fish: vmlan itself says what can follow.

function __vmlan_complete
    set -l words (commandline -opc)
    set -l typed (commandline -ct)
    set -l found ($words[1] --complete -- $words[2..-1] "$typed" 2>/dev/null)
    switch "$found[1]"
        case ':files'
            __fish_complete_path "$typed"
        case ':command*'
            set -l begin (math (string replace ':command ' '' -- $found[1]) + 2)
            complete -C (string join ' ' -- (string escape -- $words[$begin..-1]) "$typed")
        case '*'
            printf '%s\n' $found
    end
end

complete -c vmlan -f -a '(__vmlan_complete)'
