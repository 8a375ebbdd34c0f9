# Finds the import cycles of one crate; cycles.sh says what counts. Variables: src, library.
# A module is "" (the root), "::a", "::a::b".

BEGIN { ITEM = "^(async|const|enum|fn|impl|macro_rules|mod|static|struct|trait|type|union|unsafe)$" }
FNR == 1 { open_file() }
{ read_tokens(without_text($0)) }
END {
    for (i = 1; i <= imports; i++) follow_import(i)
    find_cycles()
    exit bad
}

# ---- From lines to tokens

function open_file(    path) {
    path = substr(FILENAME, length(src) + 1)
    sub(/\.rs$/, "", path)
    if (path == "main" || path == "lib") path = ""
    gsub(/\//, "::", path)
    module = path == "" ? "" : "::" path
    file = substr(FILENAME, length(src) + 1)
    if (!(module in file_of) || file == "lib.rs") file_of[module] = file
    files[++count] = file
    module_of[file] = module
    text = ""; comments = 0
    depth = 0; inline = 0
    state = ""; path_read = ""; previous = ""; item = ""
}

# The line without comments, strings, characters and lifetimes.
# `text` is what ends the open string, with an `r` behind it if the string is raw.
function without_text(line,    out, found) {
    out = ""
    while (1) {
        if (text != "") {
            if (!skip_text(line)) return out
            line = rest
        } else if (comments > 0) {
            if (!match(line, /\/\*|\*\//)) return out
            comments += substr(line, RSTART, 2) == "/*" ? 1 : -1
            line = substr(line, RSTART + 2)
        } else {
            if (!match(line, /"|\/\/|\/\*|r#*"|'/)) return out line
            found = substr(line, RSTART, RLENGTH)
            out = out substr(line, 1, RSTART - 1) " "
            line = substr(line, RSTART + (found == "'" ? 0 : RLENGTH))
            if (found == "//") return out
            if (found == "/*") comments = 1
            else if (found == "\"") text = found
            else if (found == "'") sub(/^'(\\.[^']*'|[^\\']'|[\200-\377]+'|[A-Za-z_0-9]*)/, "", line)
            else text = "\"" substr(found, 2, RLENGTH - 2) "r"
        }
    }
}

# Sets `rest` to what follows the open string; false if the string does not end in this line.
function skip_text(line,    at, end) {
    if (text ~ /r$/) {
        end = substr(text, 1, length(text) - 1)
        at = index(line, end)
        if (!at) return 0
        rest = substr(line, at + length(end))
    } else {
        while (match(line, /\\.|\\$|"/) && substr(line, RSTART, 1) == "\\") line = substr(line, RSTART + 2)
        if (!match(line, /"/)) return 0
        rest = substr(line, RSTART + 1)
    }
    text = ""
    return 1
}

function read_tokens(line) {
    while (match(line, /[A-Za-z_][A-Za-z_0-9]*|::|[^ \t]/)) {
        token(substr(line, RSTART, RLENGTH))
        line = substr(line, RSTART + RLENGTH)
    }
}

# ---- From tokens to imports, items and modules

function token(t) {
    if (state == "attribute") attribute(t)
    else if (state == "skip") skip(t)
    else if (state == "use") use_token(t)
    else code(t)
    previous = t
}

function code(t) {
    if (t ~ /^[A-Za-z_]/) {
        if (item != "") { named_item(t); return }
        if (previous == "::" && path_read != "") path_read = path_read "::" t
        else { end_path(); path_read = previous == "::" ? "?" : t }
        used[file, t] = 1
        if (t == "use") { path_read = ""; state = "use"; words = 0; is_public = previous ~ /^(pub|[)])$/ }
        else if (depth == inline && t ~ ITEM && t !~ /^(async|impl|unsafe)$/) item = t
        return
    }
    if (t == "::") { if (path_read == "") path_read = "?"; return }
    end_path()
    if (item == "named mod" && t == "{") open_inline()
    if (item != "macro_rules" || t != "!") item = ""
    if (t == "{") depth++
    else if (t == "}") { if (inline > 0 && depth == inline) close_inline(); depth-- }
    else if (t == "#") { state = "attribute"; attribute_text = ""; brackets = 0 }
}

function named_item(t) {
    path_read = ""
    if (t ~ /^(fn|unsafe|async|extern|mut)$/) return
    if (item == "mod") { item = "named mod"; item_name = t; return }
    defined[module, t] = file
    item = ""
}

function open_inline() {
    outer[depth + 1] = module; outer_depth[depth + 1] = inline
    module = module "::" item_name
    file_of[module] = file
    inline = depth + 1
}

function close_inline() { module = outer[depth]; inline = outer_depth[depth] }

function end_path() {
    if (path_read ~ /::/ && path_read !~ /^\?/ && !((file, module, path_read) in seen)) {
        seen[file, module, path_read] = 1
        add_import(path_read, 0)
    }
    path_read = ""
}

function add_import(path, glob) {
    importer[++imports] = file; within[imports] = module; imported[imports] = path; is_glob[imports] = glob
}

function attribute(t) {
    if (t == "[") brackets++
    else if (t == "]" && --brackets == 0) {
        state = ""
        if (attribute_text ~ /^!?\[cfg[(](.*[(,])?test[,)]/ && attribute_text !~ /not\(/) {
            if (attribute_text ~ /^!/) is_test[module] = 1
            else { state = "skip"; nested = 0; first = "" }
        }
        return
    } else if (brackets == 0 && t != "!") { state = ""; code(t); return }
    attribute_text = attribute_text t
}

# Skips an item that only tests see.
function skip(t) {
    if (nested == 0 && t ~ /^[A-Za-z_]/ && t != "pub") {
        if (first == "mod") is_test[module "::" t] = 1
        if (first == "") first = t
        else if (first == "mod") first = "mod " t
    }
    if (t ~ /^[{(\[]$/) nested++
    else if (t ~ /^[})\]]$/) {
        nested--
        if (nested < 0) { state = ""; code(t) }
        else if (nested == 0 && t == "}") state = ""
    } else if (nested == 0 && (t == ";" || (t == "," && first !~ ITEM))) state = ""
}

function use_token(t) {
    if (t != ";") { word[++words] = t; return }
    state = ""
    at_word = 1
    use_tree("")
}

function use_tree(path,    t, name, began) {
    began = at_word
    for (; at_word <= words; at_word++) {
        t = word[at_word]
        if (t == "," || t == "}") break
        if (t == "{") {
            do { at_word++; use_tree(path) } while (word[at_word] == ",")
            at_word++
            return
        }
        if (t == "*") { add_import(path, 1); globs[module] = globs[module] " " path; at_word++; return }
        if (t == "::") { if (path == "") path = "?" }
        else if (t == "as") name = word[++at_word]
        else path = path == "" ? t : path "::" t
    }
    if (at_word == began || path ~ /^\?/) return
    if (path ~ /::self$/) sub(/::self$/, "", path)
    if (name == "") { name = path; sub(/^.*::/, "", name) }
    add_import(path, 0)
    if (is_public) signpost[imports] = name
    if (name != "_") alias[module, name] = alias[module, name] " " path
}

# ---- From imports to files

function follow_import(i) {
    if (in_test(module_of[importer[i]])) return
    if ((i in signpost) && !((importer[i], signpost[i]) in used)) return
    from = importer[i]; whole_module = is_glob[i]
    start(within[i], imported[i], 0)
}

function in_test(m) {
    for (; m != ""; m = parent(m)) if (m in is_test) return 1
    return 0
}

function parent(m) { sub(/::[^:]*$/, "", m); return m }

function head(path) { sub(/::.*$/, "", path); return path }

function tail(path) { return index(path, "::") ? substr(path, index(path, "::") + 2) : "" }

# A path begins with a word of the language or a name in scope; anything else is another crate's.
function start(m, path, steps,    word1) {
    word1 = head(path)
    if (word1 == library && library != "") walk("", tail(path), steps + 1)
    else if (word1 ~ /^(crate|self|super)$/ || knows(m, word1)) walk(m, path, steps + 1)
}

function knows(m, name) { return ((m "::" name) in file_of) || ((m, name) in defined) || ((m, name) in alias) }

function walk(m, path, steps,    name, list, n, j) {
    if (steps > 30) return
    if (path == "") { if (whole_module) arrive(file_of[m], "*"); return }
    name = head(path)
    if (name == "crate") walk("", tail(path), steps + 1)
    else if (name == "self") walk(m, tail(path), steps + 1)
    else if (name == "super") walk(parent(m), tail(path), steps + 1)
    else if ((m "::" name) in file_of) walk(m "::" name, tail(path), steps + 1)
    else if ((m, name) in defined) arrive(defined[m, name], name)
    else if ((m, name) in alias) {
        n = split(alias[m, name], list, " ")
        for (j = 1; j <= n; j++) start(m, list[j] (tail(path) == "" ? "" : "::" tail(path)), steps + 1)
    } else if (!walk_globs(m, path, steps)) arrive(file_of[m], name)
}

# True if one of the glob imports of the module brings the name.
function walk_globs(m, path, steps,    list, n, j, g) {
    n = split(globs[m], list, " ")
    for (j = 1; j <= n; j++) {
        g = module_at(m, list[j])
        if (g != "?" && g != m && knows(g, head(path))) { walk(g, path, steps + 1); return 1 }
    }
    return 0
}

# The module to which a path of modules leads, or "?".
function module_at(m, path,    name) {
    for (; path != ""; path = tail(path)) {
        name = head(path)
        if (name == "crate") m = ""
        else if (name == "super") m = parent(m)
        else if (name != "self") {
            m = m "::" name
            if (!(m in file_of)) return "?"
        }
    }
    return m
}

function arrive(to, named) {
    if (to == "" || to == from || in_test(module_of[to])) return
    if (!((from, to) in names)) { targets[from] = targets[from] " " to; names[from, to] = named }
    else if (!index(" " names[from, to] ",", " " named ",")) names[from, to] = names[from, to] ", " named
}

# ---- From files to cycles: Tarjan's strongly connected components

function find_cycles(    i, folder) {
    for (i = 1; i <= count; i++) {
        if (in_test(module_of[files[i]])) continue
        for (folder = files[i]; sub(/\/[^\/]*$/, "", folder); ) has_files[folder] = 1
    }
    for (i = 1; i <= count; i++) if (!(files[i] in number)) visit(files[i])
}

function visit(f,    list, n, j) {
    number[f] = lowest[f] = ++visited
    stack[++top] = f; on_stack[f] = 1
    n = split(targets[f], list, " ")
    for (j = 1; j <= n; j++) {
        if (!(list[j] in number)) {
            visit(list[j])
            if (lowest[list[j]] < lowest[f]) lowest[f] = lowest[list[j]]
        } else if (on_stack[list[j]] && number[list[j]] < lowest[f]) lowest[f] = number[list[j]]
    }
    if (lowest[f] == number[f]) take_cycle(f)
}

function take_cycle(f,    i) {
    split("", inside); size = 0
    do { on_stack[stack[top]] = 0; inside[stack[top]] = 1; size++ } while (stack[top--] != f)
    if (size > 1) report()
}

function folder_of(f,    opened) {
    opened = f
    sub(/\.rs$/, "", opened)
    if (opened in has_files) return opened
    return sub(/\/[^\/]*$/, "", opened) ? opened : "."
}

function report(    i, list, folders, n) {
    for (i = 1; i <= count; i++) if (files[i] in inside) {
        list = list " " files[i]
        if (!(folder_of(files[i]) in folders)) { folders[folder_of(files[i])] = 1; n++ }
    }
    if (n == 1 && size <= 3) { print src ": allowed, a cycle within one folder:" list; return }
    bad = 1
    print src ": a cycle of " size " files in " n " folder" (n > 1 ? "s" : "")
    for (i = 1; i <= count; i++) if (files[i] in inside) report_file(files[i])
    if (n > 1) print "  Move what both folders name into a file that imports neither, or pass it as an argument."
    else print "  Move what most of these files name into a file that imports none of them."
}

function report_file(f,    list, n, j, line) {
    n = split(targets[f], list, " ")
    for (j = 1; j <= n; j++) if (list[j] in inside) line = line ", " list[j] " (" names[f, list[j]] ")"
    print "    " f " imports " substr(line, 3)
}
