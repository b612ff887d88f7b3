# The script behind descent_embed: writes OUT. PARTS is name=file,name=file,...
string(REPLACE "," ";" parts "${PARTS}")
set(text "#include \"${HEADER}\"\n\nnamespace ${NAMESPACE} {\n")
foreach(part IN LISTS parts)
  string(REGEX MATCH "^([^=]*)=(.*)$" unused ${part})
  set(name ${CMAKE_MATCH_1})
  file(READ ${SOURCE}/${CMAKE_MATCH_2} hex HEX)
  string(REGEX REPLACE "(..)" "\\\\x\\1" bytes "${hex}")
  string(APPEND text "std::string_view ${name}() {\n  static constexpr char bytes[] =\n      \"${bytes}\";\n\
  return {bytes, sizeof(bytes) - 1};\n}\n")
endforeach()
string(APPEND text "}  // namespace ${NAMESPACE}\n")
file(WRITE ${OUT} "${text}")
