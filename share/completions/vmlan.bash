# SPDX-License-Identifier: Apache-2.0
# Completion of vmlan for bash: vmlan itself says what can follow.

_vmlan() {
    local typed=${COMP_WORDS[COMP_CWORD]} line
    COMPREPLY=()
    while IFS= read -r line; do
        case $line in
        :files) mapfile -t COMPREPLY < <(compgen -f -- "$typed") ;;
        :command*)
            if declare -F _command_offset >/dev/null; then
                _command_offset $((${line#:command } + 1))
            else
                mapfile -t COMPREPLY < <(compgen -A command -A file -- "$typed")
            fi
            ;;
        *) COMPREPLY+=("${line%%$'\t'*}") ;;
        esac
    done < <("${COMP_WORDS[0]}" --complete -- "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
}

complete -o filenames -F _vmlan vmlan
